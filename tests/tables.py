"""Emptying the tables of the test database."""

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection

OF_NO_TEST = {ContentType._meta.db_table, Permission._meta.db_table}  # they tell of the models
LARGE = 1 << 18  # bytes, with the rows of earlier tests that no vacuum has taken out yet


def empty_tables() -> None:
    """Take out all rows of tests, at whichever speed is higher: truncating makes new files for a table and its indexes,
    deleting looks for what refers to each row.
    """
    names = list({*connection.introspection.django_table_names()} - OF_NO_TEST)
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relname = ANY(%s)", [names])
        sizes = dict(cursor.fetchall())
        if large := [name for name in sizes if sizes[name] > LARGE]:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        if small := [name for name in sizes if 0 < sizes[name] <= LARGE]:
            cursor.execute("; ".join(f"DELETE FROM {name}" for name in small))  # noqa: S608 - our own tables
