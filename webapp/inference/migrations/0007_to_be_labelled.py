import django.db.models.deletion
from django.db import migrations, models

class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_address_that_the_clinic_knows'),
        ('inference', '0006_one_member'),
        ('labels', '0003_settled_by'),
    ]

    operations = [
        migrations.AddField(
            model_name='result',
            name='doubt',
            field=models.FloatField(help_text='As `answers.doubt_of` gives it; null once the image is settled or deleted', null=True),
        ),
        migrations.AddField(
            model_name='result',
            name='organisation',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organisation'),
        ),
    ]
