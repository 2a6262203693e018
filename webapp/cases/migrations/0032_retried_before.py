from django.db import migrations

# Told by the clock until now: those that are under way when this version comes.
RETRIED = """
UPDATE cases_image image SET retried = true FROM cases_batch batch
WHERE batch.id = image.batch_id AND batch.state = 'submitted' AND NOT image.retried AND (
    image.state IN ('stored', 'ready') AND image.stored_at > batch.submitted_at
    OR image.state = 'ready' AND image.quality <> '[]' AND image.ended_at > batch.submitted_at
)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0031_cases_called'),
    ]

    operations = [
        migrations.RunSQL(RETRIED, migrations.RunSQL.noop),
    ]
