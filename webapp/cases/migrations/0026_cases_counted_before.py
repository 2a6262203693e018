from django.db import migrations

# Of those that have ended, which nobody waits to change; the others are counted when somebody looks. Nothing joins
# one that is closed, so what a version adds meanwhile that does not know the column is counted too.
COUNTED = """
UPDATE cases_batch SET case_count = (SELECT count(*) FROM cases_case WHERE batch_id = cases_batch.id)
WHERE finished_at IS NOT NULL
"""


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0025_cases_counted'),
    ]

    operations = [
        migrations.RunSQL(COUNTED, migrations.RunSQL.noop),
    ]
