from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0033_link_locked'),
    ]

    operations = [
        migrations.AddField(
            model_name='case',
            name='source',
            field=models.CharField(choices=[('api', 'API'), ('web', 'Web'), ('patient', 'Patient')], db_default='', help_text='That of its batch', max_length=10),
        ),
    ]
