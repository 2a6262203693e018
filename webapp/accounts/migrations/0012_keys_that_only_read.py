from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_user_email_in_one_form")]

    operations = [
        migrations.AddField(
            model_name="apikey", name="reads_only", field=models.BooleanField(db_default=False, default=False)
        ),
    ]
