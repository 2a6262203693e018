from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0002_enabled_once'),
    ]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='sealed_earlier_secrets',
            field=models.JSONField(db_default=[], default=list, help_text='Those before the previous one, the newest first: secret, until when'),
        ),
    ]
