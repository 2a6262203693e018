from django.db import migrations

LOCKED_BEFORE = """
WITH newest AS (
    SELECT DISTINCT ON (case_id) case_id, tries_left
    FROM notify_resultlink WHERE expires_at > now() ORDER BY case_id, id DESC
)
UPDATE cases_case locked SET link_locked_at = COALESCE(
    (SELECT max(at) FROM audit_event WHERE object_id = locked.id::text AND action = 'result_link.wrong_date'), now()
)
FROM newest
WHERE newest.case_id = locked.id AND newest.tries_left = 0
    AND locked.released_at IS NOT NULL AND locked.link_locked_at IS NULL
    AND NOT EXISTS (
        SELECT FROM audit_event WHERE object_id = locked.id::text AND action = 'case.lock_seen_to'
    )
"""


class Migration(migrations.Migration):
    """Links that wrong dates of birth had locked before a case said so. Of one that has expired its reader asks for
    another.
    """

    dependencies = [
        ('audit', '0001_initial'),
        ('cases', '0036_cases_advised'),
        ('notify', '0008_drop_opened_at'),
    ]

    operations = [
        migrations.RunSQL(LOCKED_BEFORE, migrations.RunSQL.noop),
    ]
