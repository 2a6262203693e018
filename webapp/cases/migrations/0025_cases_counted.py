from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0024_no_result_seen'),
    ]

    operations = [
        migrations.AddField(
            model_name='batch',
            name='case_count',
            field=models.PositiveIntegerField(blank=True, help_text='Once it is closed, and takes no more', null=True),
        ),
        AddConstraintNotValid(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('case_count', None), models.Q(('state', 'open'), _negated=True), _connector='OR'), name='batch_counted_is_closed'),
        ),
        ValidateConstraint(
            model_name='batch',
            name='batch_counted_is_closed',
        ),
    ]
