from django.db import migrations, models


class Migration(migrations.Migration):
    """Whom a clinic has named before stays as they were: it answers for their consent."""

    dependencies = [
        ("accounts", "0012_keys_that_only_read"),
    ]

    operations = [
        migrations.AddField(
            model_name="patient",
            name="training_consent",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Whether models may learn from their photos, which are then labelled",
            ),
        ),
    ]
