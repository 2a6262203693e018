from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):

    atomic = False  # whoever writes an answer locks both tables: they are altered one after the other

    dependencies = [
        ('inference', '0008_doubt_before'),
    ]

    operations = [
        migrations.AlterField(
            model_name='caseresult',
            name='created_at',
            field=models.DateTimeField(db_default=Now()),
        ),
        migrations.AlterField(
            model_name='result',
            name='created_at',
            field=models.DateTimeField(db_default=Now()),
        ),
    ]
