"""The tests' database, made empty again after a test that commits."""

from django.db import connection, transaction

# Migrations write them and nothing changes them. Django empties them too, and then has to write all of them anew.
KEPT = {"django_content_type", "auth_permission"}
LONGEST_WAIT = "60s"  # whoever leaves a transaction open ends the test that emptied, with words, and hangs no run


def empty() -> None:
    """Delete every row of every table but those of `KEPT`: of a few rows, this is far quicker than TRUNCATE.

    Whoever still writes is waited for, as by TRUNCATE; raises OperationalError if that takes too long. Foreign keys are
    looked at when the transaction ends, so the order of the tables is free.
    """
    names = set(connection.introspection.django_table_names(include_views=False)) - KEPT
    tables = [connection.ops.quote_name(name) for name in sorted(names)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'")
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        cursor.execute("; ".join(f"DELETE FROM {table}" for table in tables))  # noqa: S608 - names of our own tables
