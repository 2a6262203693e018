from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notify", "0006_opened_at_unread"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="kind",
            field=models.CharField(
                choices=[
                    ("batch_completed", "A batch is complete"),
                    ("result_ready", "A result can be read"),
                    ("image_unusable", "A photo has to be taken again"),
                    ("check_stopped", "A clinic stopped the check of a photo"),
                    ("review_waiting", "A patient's photo waits for review"),
                    ("case_raised", "A case waits for a clinician again"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="renewals",
            field=models.PositiveSmallIntegerField(default=0, help_text="How often it was written anew"),
        ),
    ]
