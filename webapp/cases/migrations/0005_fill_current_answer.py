from django.db import migrations

NEWEST_ANSWERS = """
UPDATE cases_case SET
    answer_id = newest.id, advice = newest.advice, top_class = newest.top_class,
    risk = newest.malignant, uncertainty = newest.uncertainty
FROM (
    SELECT DISTINCT ON (case_id) * FROM inference_caseresult ORDER BY case_id, created_at DESC, id DESC
) newest
WHERE newest.case_id = cases_case.id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('cases', '0004_current_answer'),
    ]

    operations = [
        migrations.RunSQL(NEWEST_ANSWERS, migrations.RunSQL.noop),
    ]
