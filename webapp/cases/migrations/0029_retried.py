from django.db import migrations, models

# Told by the clock until now: those that are under way when this version comes.
RETRIED = """
UPDATE cases_image image SET retried = true FROM cases_batch batch
WHERE batch.id = image.batch_id AND batch.state = 'submitted' AND (
    image.state IN ('stored', 'ready') AND image.stored_at > batch.submitted_at
    OR image.state = 'ready' AND image.quality <> '[]' AND image.ended_at > batch.submitted_at
)
"""


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
        migrations.RunSQL(RETRIED, migrations.RunSQL.noop),
    ]
