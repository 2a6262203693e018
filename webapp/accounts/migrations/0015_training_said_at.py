from django.db import migrations, models

REFUSED_BEFORE = "UPDATE accounts_patient SET training_said_at = now() WHERE NOT training_consent"


class Migration(migrations.Migration):
    """A ZIP that was announced before lifts no refusal that is there."""

    atomic = False

    dependencies = [
        ("accounts", "0014_patients_called"),
    ]

    operations = [
        migrations.AddField(
            model_name="patient",
            name="training_said_at",
            field=models.DateTimeField(blank=True, help_text="When that was said last; null: nobody has", null=True),
        ),
        migrations.RunSQL(REFUSED_BEFORE, migrations.RunSQL.noop),
    ]
