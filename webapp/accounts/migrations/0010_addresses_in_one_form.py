from django.core.exceptions import ValidationError
from django.db import migrations, transaction
from django.db.utils import IntegrityError

from webapp.addresses import in_one_form

# Until now accounts were found by UPPER, to which the i without a dot is an I: whoever came by an address that was
# alike to UPPER alone proved that one, and not the account's. Their letters arrive somewhere else.
LOOK_ALIKES = """
DELETE FROM account_emailaddress AS proved USING accounts_user AS person
WHERE proved.user_id = person.id AND proved.email <> lower(person.email) AND upper(proved.email) = upper(person.email)
"""
OTHERWISE = r"[A-Z]|[^\u0001-\u007f]"


def bring(apps, schema_editor):
    """An address that mail cannot be sent to, or that another account has already, stays as it is."""
    for app, model, field in (
        ("accounts", "User", "email"),
        ("account", "EmailAddress", "email"),
        ("accounts", "Patient", "email"),
        ("accounts", "Patient", "clinics_email"),
    ):
        rows = apps.get_model(app, model).objects.using(schema_editor.connection.alias)
        written = rows.filter(**{f"{field}__regex": OTHERWISE}).values_list("pk", field)
        for pk, email in written.iterator():
            try:
                with transaction.atomic(using=schema_editor.connection.alias):
                    rows.filter(pk=pk).update(**{field: in_one_form(email)})
            except (ValidationError, IntegrityError):
                continue


class Migration(migrations.Migration):
    atomic = False  # each row for itself: the last version's pods write these rows meanwhile
    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("accounts", "0009_keys_expire"),
    ]

    operations = [
        migrations.RunSQL(LOOK_ALIKES, migrations.RunSQL.noop),
        migrations.RunPython(bring, migrations.RunPython.noop),
    ]
