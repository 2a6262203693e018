"""A new version's database is met by the old version's pods for a minute (docs/kubernetes.md)."""

from collections.abc import Iterator, Sequence, Set

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation

# The last migration of each app that was made before this rule.
BEFORE = {
    "accounts": "0002_weight_and_quotas",
    "audit": "0001_initial",
    "cases": "0007_find_lost_inspections",
    "inference": "0004_case_result_by_release",
    "labels": "0001_initial",
    "notify": "0002_message_sending",
    "registry": "0001_initial",
    "webhooks": "0001_initial",
}

# The last migration of an app that made or dropped an index under a lock against everything.
LOCKED_BEFORE = {"cases": "0015_review_turn", "inference": "0005_suspect_jobs", "notify": "0002_message_sending"}

# The last migration of an app that wrote rows in the transaction that had changed a table.
WRITTEN_BEFORE = {"cases": "0014_archive_stored_at", "webhooks": "0002_enabled_once"}


def made_by(operations: Sequence[Operation]) -> set[str]:
    """The models, in small letters, whose tables they make: nobody else uses these yet."""
    return {operation.name.lower() for operation in operations if isinstance(operation, migrations.CreateModel)}


def unwritable(operations: Sequence[Operation], empty: Set[tuple[str, str]] = frozenset()) -> Iterator[str]:
    """The columns of a table that a program which does not know them cannot leave out: they are added, or were among
    those (model and name, in small letters) that may be `empty` before.
    """
    nullable = set(empty)
    made = made_by(operations)
    for operation in operations:
        if not isinstance(operation, migrations.AddField | migrations.AlterField):
            continue
        table, column, field = operation.model_name.lower(), operation.name.lower(), operation.field
        known = table in made or (isinstance(operation, migrations.AlterField) and (table, column) not in nullable)
        is_column = not (field.many_to_many or getattr(field, "generated", False))
        if not known and is_column and not field.null and not field.has_db_default():
            yield f"{operation.model_name}.{operation.name}"
        if field.null:
            nullable.add((table, column))


def empty_before(loader: MigrationLoader, label: str, name: str) -> set[tuple[str, str]]:
    """Model and name of each field that may be null before this migration."""
    models_before = loader.project_state((label, name), at_end=False).models
    return {
        (model, field.lower())
        for (app, model), state in models_before.items()
        if app == label
        for field, column in state.fields.items()
        if column.null
    }


def test_a_version_can_write_rows_to_the_next_ones_tables() -> None:
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("webapp.")}
    loader = MigrationLoader(None)
    migrated = loader.disk_migrations
    assert BEFORE.items() <= {label: name for label, name in migrated if BEFORE.get(label) == name}.items()
    found = {
        f"{label}.{name}": list(unwritable(migration.operations, empty_before(loader, label, name)))
        for (label, name), migration in migrated.items()
        if label in ours and name > BEFORE.get(label, "")
    }
    assert not {name: columns for name, columns in found.items() if columns}, "Give these columns a `db_default`."


def locking(operations: Sequence[Operation]) -> Iterator[str]:
    """The indexes that are made or dropped while nobody can read or write the table that has them already."""
    made = made_by(operations)
    for operation in operations:
        if not isinstance(operation, migrations.AddIndex | migrations.RemoveIndex):
            continue
        concurrent = isinstance(operation, AddIndexConcurrently | RemoveIndexConcurrently)
        if not concurrent and operation.model_name.lower() not in made:
            yield operation.index.name if isinstance(operation, migrations.AddIndex) else operation.name


def test_a_version_goes_on_while_the_next_ones_indexes_are_made() -> None:
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("webapp.")}
    migrated = MigrationLoader(None).disk_migrations
    assert set(LOCKED_BEFORE.items()) <= set(migrated)
    found = {
        f"{label}.{name}": list(locking(migration.operations))
        for (label, name), migration in migrated.items()
        if label in ours and name > LOCKED_BEFORE.get(label, "")
    }
    assert not {name: indexes for name, indexes in found.items() if indexes}, "Make and drop them concurrently."


def held(migration: Migration) -> Iterator[str]:
    """The tables that nobody can read while rows are written: they are changed in the same transaction."""
    made = made_by(migration.operations)
    writes = any(isinstance(operation, migrations.RunSQL | migrations.RunPython) for operation in migration.operations)
    for operation in migration.operations if migration.atomic and writes else ():
        if isinstance(operation, FieldOperation) and operation.model_name.lower() not in made:
            yield operation.model_name


def test_a_version_goes_on_while_the_next_ones_rows_are_written() -> None:
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("webapp.")}
    migrated = MigrationLoader(None).disk_migrations
    assert set(WRITTEN_BEFORE.items()) <= set(migrated)
    found = {
        f"{label}.{name}": list(held(migration))
        for (label, name), migration in migrated.items()
        if label in ours and name > WRITTEN_BEFORE.get(label, "")
    }
    assert not {name: tables for name, tables in found.items() if tables}, "Write the rows in a migration of its own."


def test_the_rule_knows_what_nobody_can_read_meanwhile() -> None:
    add, write = migrations.AddField("Case", "colour", models.IntegerField(null=True)), migrations.RunSQL("")
    for operations, atomic, tables in (
        ([add, write], True, ["Case"]),
        ([add, write], False, []),
        ([add], True, []),
        ([write], True, []),
        ([migrations.CreateModel("Case", []), add, write], True, []),
    ):
        kind = type("Colours", (Migration,), {"operations": operations, "atomic": atomic})
        assert list(held(kind("colours", "cases"))) == tables


def test_the_rule_knows_which_index_locks_a_table() -> None:
    index = models.Index(fields=["colour"], name="case_colour")
    add, drop = migrations.AddIndex("Case", index), migrations.RemoveIndex("Case", "case_colour")
    beside = [AddIndexConcurrently("Case", index), RemoveIndexConcurrently("Case", "case_colour")]
    assert list(locking([add, drop, *beside])) == ["case_colour"] * 2
    assert list(locking([migrations.CreateModel("Case", []), add])) == []


@pytest.mark.parametrize(
    ("field", "refused"),
    [
        (models.IntegerField(default=0), True),
        (models.ForeignKey("accounts.User", models.CASCADE), True),
        (models.IntegerField(db_default=0), False),
        (models.IntegerField(null=True), False),
        (models.ManyToManyField("accounts.User"), False),
    ],
)
def test_the_rule_knows_what_cannot_be_left_out(field: models.Field, refused: bool) -> None:
    add, change = migrations.AddField("Case", "colour", field), migrations.AlterField("Case", "colour", field)
    assert list(unwritable([add])) == ["Case.colour"] * refused
    assert list(unwritable([change], {("case", "colour")})) == ["Case.colour"] * refused
    assert list(unwritable([change])) == []
    first = migrations.AddField("Case", "colour", models.IntegerField(null=True))
    assert list(unwritable([first, change])) == ["Case.colour"] * refused
    assert list(unwritable([migrations.CreateModel("Case", []), add])) == []
