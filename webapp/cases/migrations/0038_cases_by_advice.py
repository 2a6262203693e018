from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0037_link_locked_before'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='case',
            index=models.Index(
                condition=models.Q(('advice', ''), _negated=True),
                fields=['organisation', 'advice', '-created_at', 'released_at'],
                name='case_by_advice',
            ),
        ),
        RemoveIndexConcurrently(
            model_name='case',
            name='case_advised',
        ),
    ]
