from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0029_retried'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='image',
            index=models.Index(condition=models.Q(('attempt__gt', 0), ('state', 'stored')), fields=['organisation', 'priority', 'stored_at'], name='image_again_in_turn'),
        ),
        RemoveIndexConcurrently(
            model_name='image',
            name='image_to_inspect_again',
        ),
    ]
