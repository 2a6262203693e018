"""The version before this one reads the column with every link, so it stays in the table: the next takes it away, by
`ALTER TABLE notify_resultlink DROP COLUMN opened_at`.
"""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('notify', '0005_failed_by_time'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name='resultlink', name='opened_at')],
        ),
    ]
