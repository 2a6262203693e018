from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0016_patients_reached"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="patient",
            index=models.Index(
                models.F("organisation"),
                Lower("clinics_email"),
                condition=~models.Q(clinics_email=""),
                name="patient_clinics_email",
            ),
        ),
    ]
