from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0035_sent_by_before'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='case',
            index=models.Index(condition=models.Q(('advice', ''), _negated=True), fields=['organisation', 'advice', '-created_at'], name='case_advised'),
        ),
    ]
