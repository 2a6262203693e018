"""The version before this one writes the column with every answer, so it stays in the table: the next takes it away, by
`ALTER TABLE inference_caseresult DROP COLUMN batch_id`.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0027_more_left_out'),
        ('inference', '0010_settled_without_doubt'),
    ]

    operations = [
        RemoveIndexConcurrently(
            model_name='caseresult',
            name='case_result_by_release',
        ),
        migrations.AlterField(
            model_name='caseresult',
            name='batch',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='case_results', to='cases.batch'),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name='caseresult', name='batch')],
        ),
    ]
