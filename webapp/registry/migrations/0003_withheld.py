from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0002_lesions_not_named"),
    ]

    operations = [
        migrations.AddField(
            model_name="datasetsnapshot",
            name="withheld",
            field=models.PositiveIntegerField(
                help_text="Labelled images that were left out when it was first drawn up, since their patients do not "
                "agree that models learn from their photos",
                null=True,
            ),
        ),
    ]
