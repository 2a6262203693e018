from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0023_opinions_before'),
    ]

    operations = [
        migrations.AddField(
            model_name='case',
            name='no_result_seen_at',
            field=models.DateTimeField(blank=True, help_text='When somebody saw that it got no result', null=True),
        ),
        AddIndexConcurrently(
            model_name='case',
            index=models.Index(condition=models.Q(('answer', None), ('erased_at', None), ('no_result_seen_at', None)), fields=['batch'], name='case_unseen'),
        ),
    ]
