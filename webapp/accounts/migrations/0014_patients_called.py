from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Collate, Upper


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0013_training_consent"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="patient",
            index=models.Index(models.F("organisation"), Collate(Upper("external_id"), "C"), name="patient_called"),
        ),
    ]
