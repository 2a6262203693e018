"""A case's source is that of its batch. The version before this one writes cases without it, so the database fills it in
for those; the next takes that away, by `DROP TRIGGER case_source ON cases_case` and `DROP FUNCTION case_source`.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models, transaction
from django.db.models import Case, F, Q, Value, When

FILLED_IN = """
CREATE OR REPLACE FUNCTION case_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.source := (SELECT source FROM cases_batch WHERE id = NEW.batch_id);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER case_source BEFORE INSERT ON cases_case
FOR EACH ROW WHEN (NEW.source = '') EXECUTE FUNCTION case_source();
"""
NOT_ANY_MORE = "DROP TRIGGER case_source ON cases_case; DROP FUNCTION case_source();"
LOCK = "SELECT source FROM cases_batch WHERE id = %s FOR NO KEY UPDATE"
FILL = "UPDATE cases_case SET source = %s WHERE batch_id = %s AND source = ''"
DISSENT = (
    Q(opinion='MEL', advice__in=['routine_referral', 'self_monitor'])
    | Q(opinion='BCC', advice__in=['self_monitor'])
    | Q(opinion='AKIEC', advice__in=['self_monitor'])
)
IN_TURN = (
    Case(When(DISSENT, then=Value(0)), default=Value(1)),
    *(F('urgency'), F('risk').desc(), F('created_at'), F('id'), F('top_class'), F('uncertainty')),
)
WAITS = Q(released_at=None) & ~Q(advice='')


def fill(apps, editor):
    """A batch at a time, as whoever works on it: the version before goes on meanwhile."""
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM cases_batch")
        for (batch,) in cursor.fetchall():
            with transaction.atomic(editor.connection.alias):
                cursor.execute(LOCK, [batch])
                for (source,) in cursor.fetchall():
                    cursor.execute(FILL, [source, batch])


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('cases', '0034_sent_by'),
    ]

    operations = [
        migrations.RunSQL(FILLED_IN, NOT_ANY_MORE),
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name='case',
            index=models.Index(F('organisation'), *IN_TURN, F('source'), condition=WAITS, name='case_review_list'),
        ),
        AddIndexConcurrently(
            model_name='case',
            index=models.Index(F('organisation'), F('source'), *IN_TURN, condition=WAITS, name='case_review_sent_by'),
        ),
        RemoveIndexConcurrently(
            model_name='case',
            name='case_review_first',
        ),
    ]
