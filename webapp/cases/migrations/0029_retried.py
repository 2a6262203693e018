from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0028_another_file_beside'),
    ]

    operations = [
        migrations.AddField(
            model_name='image',
            name='retried',
            field=models.BooleanField(db_default=False, default=False, help_text='It had ended in its batch that was sent, and was tried once more'),
        ),
    ]
