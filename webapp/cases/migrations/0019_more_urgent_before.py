from django.db import migrations

MORE_URGENT = """
UPDATE cases_case SET raised_at = later.at
FROM (
    SELECT DISTINCT ON (held.id) held.id, result.created_at AS at
    FROM cases_case held
    JOIN inference_caseresult given ON given.id = held.answer_id
    JOIN inference_caseresult result ON result.case_id = held.id AND result.created_at > given.created_at
    WHERE held.released_at IS NOT NULL
        AND array_position(ARRAY['urgent_referral', 'routine_referral'], result.advice::text) - 1 < held.urgency
    ORDER BY held.id, result.advice = 'urgent_referral' DESC, result.created_at DESC
) later
WHERE later.id = cases_case.id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0018_more_urgent_since'),
        ('inference', '0006_one_member'),
    ]

    operations = [
        migrations.RunSQL(MORE_URGENT, migrations.RunSQL.noop),
    ]
