from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cases", "0027_more_left_out"),
    ]

    operations = [
        migrations.AddField(
            model_name="image",
            name="another_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When somebody was last told where another file goes, which is not in place",
                null=True,
            ),
        ),
    ]
