from django.db import migrations

# One of several that look alike is brought to the form in which it is looked up from now on; the others stay.
ONE_FORM = """
WITH forms AS (
    SELECT id, normalize(external_id, NFC) AS form, row_number() OVER (
        PARTITION BY organisation_id, normalize(external_id, NFC) ORDER BY external_id IS NFC NORMALIZED DESC, id
    ) AS place
    FROM accounts_patient
)
UPDATE accounts_patient SET external_id = form
FROM forms
WHERE forms.id = accounts_patient.id AND place = 1 AND external_id <> form AND length(form) <= 100
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_retention_days"),
    ]

    operations = [
        migrations.RunSQL(ONE_FORM, migrations.RunSQL.noop),
    ]
