from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('inference', '0011_case_results_batch_unused'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('attempt__gte', 2), ('state', 'queued')), fields=['organisation', 'priority', 'id'], name='job_suspect_in_turn'),
        ),
        RemoveIndexConcurrently(
            model_name='job',
            name='job_suspect',
        ),
    ]
