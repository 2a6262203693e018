from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("operations", "0001_last_sweep")]

    operations = [
        migrations.AddField(
            model_name="sweep", name="storage_at", field=models.DateTimeField(db_default=Now())
        ),
    ]
