from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0015_training_said_at"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="patient",
            index=models.Index(
                models.F("organisation"), Lower("email"), condition=~models.Q(email=""), name="patient_reached"
            ),
        ),
    ]
