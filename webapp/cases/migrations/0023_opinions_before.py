from django.db import migrations

HEARD = """
UPDATE cases_case SET opinion = agreed.dx
FROM (
    SELECT DISTINCT ON (image.case_id) image.case_id, consensus.dx
    FROM labels_consensus consensus JOIN cases_image image ON image.id = consensus.image_id
    WHERE consensus.dx IN ('MEL', 'BCC', 'AKIEC')
    ORDER BY image.case_id, consensus.dx = 'MEL' DESC, consensus.created_at
) agreed
WHERE agreed.case_id = cases_case.id AND cases_case.erased_at IS NULL AND cases_case.opinion = ''
"""
RAISED = """
UPDATE cases_case SET raised_at = now()
WHERE released_at IS NOT NULL AND raised_at IS NULL AND (
    opinion = 'MEL' AND advice IN ('routine_referral', 'self_monitor')
    OR opinion IN ('BCC', 'AKIEC') AND advice = 'self_monitor'
)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0022_dermatologists_opinion'),
        ('labels', '0003_settled_by'),
    ]

    operations = [
        migrations.RunSQL([HEARD, RAISED], migrations.RunSQL.noop),
    ]
