from django.db import migrations

# One of several that look alike is brought to the form in which it is looked up from now on; the others stay.
ONE_FORM = """
WITH forms AS (
    SELECT id, normalize(external_id, NFC) AS form, row_number() OVER (
        PARTITION BY batch_id, normalize(external_id, NFC) ORDER BY external_id IS NFC NORMALIZED DESC, id
    ) AS place
    FROM cases_case
)
UPDATE cases_case SET external_id = form
FROM forms
WHERE forms.id = cases_case.id AND place = 1 AND external_id <> form AND length(form) <= 100
"""
OF_LESIONS = """
UPDATE cases_case SET lesion_id = normalize(lesion_id, NFC)
WHERE lesion_id IS NOT NFC NORMALIZED AND length(normalize(lesion_id, NFC)) <= 100
"""


class Migration(migrations.Migration):
    dependencies = [
        ("cases", "0012_capture_unknown"),
    ]

    operations = [
        migrations.RunSQL(ONE_FORM, migrations.RunSQL.noop),
        migrations.RunSQL(OF_LESIONS, migrations.RunSQL.noop),
    ]
