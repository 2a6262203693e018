import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0003_earlier_secrets"),
    ]

    operations = [
        migrations.AlterField(
            model_name="endpoint",
            name="event_types",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("batch.completed", "A batch is complete"),
                        ("batch.cancelled", "A batch was cancelled"),
                        ("archive.expanded", "An archive was unpacked"),
                        ("archive.refused", "An archive could not be unpacked"),
                        ("case.released", "A result was released to the patient"),
                        ("case.raised", "A case waits for a clinician again"),
                    ],
                    max_length=40,
                ),
                size=None,
            ),
        ),
    ]
