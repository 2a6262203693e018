from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notify", "0003_review_waiting"),
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
                ],
                max_length=20,
            ),
        ),
    ]
