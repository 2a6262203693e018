from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("cases", "0032_retried_before"),
    ]

    operations = [
        migrations.AddField(
            model_name="case",
            name="link_locked_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When wrong dates of birth locked the link to it, until somebody saw to that",
                null=True,
            ),
        ),
        AddIndexConcurrently(
            model_name="case",
            index=models.Index(
                condition=models.Q(("link_locked_at", None), _negated=True),
                fields=["organisation", "link_locked_at"],
                name="case_link_locked",
            ),
        ),
    ]
