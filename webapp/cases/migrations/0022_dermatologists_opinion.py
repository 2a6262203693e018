from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import Case, F, Q, Value, When

DISSENT = (
    Q(opinion='MEL', advice__in=['routine_referral', 'self_monitor'])
    | Q(opinion='BCC', advice__in=['self_monitor'])
    | Q(opinion='AKIEC', advice__in=['self_monitor'])
)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0021_left_out'),
    ]

    operations = [
        migrations.AddField(
            model_name='case',
            name='opinion',
            field=models.CharField(blank=True, db_default='', default='', help_text='The malignant class that dermatologists agree on for a picture; of several, what calls for most', max_length=10),
        ),
        AddIndexConcurrently(
            model_name='case',
            index=models.Index(F('organisation'), Case(When(DISSENT, then=Value(0)), default=Value(1)), F('urgency'), F('risk').desc(), F('created_at'), F('id'), condition=Q(released_at=None) & ~Q(advice=''), name='case_review_first'),
        ),
        RemoveIndexConcurrently(
            model_name='case',
            name='case_review_order',
        ),
    ]
