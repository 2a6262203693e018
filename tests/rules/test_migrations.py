"""A new version's database is met by the old version's pods for a minute (docs/kubernetes.md)."""

from collections.abc import Iterator, Sequence

import pytest
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

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


def unwritable(operations: Sequence[Operation]) -> Iterator[str]:
    """The columns that are added to a table and that a program which does not know them cannot leave out."""
    made = {operation.name.lower() for operation in operations if isinstance(operation, migrations.CreateModel)}
    for operation in operations:
        if isinstance(operation, migrations.AddField) and operation.model_name.lower() not in made:
            field = operation.field
            is_column = not (field.many_to_many or getattr(field, "generated", False))
            if is_column and not field.null and not field.has_db_default():
                yield f"{operation.model_name}.{operation.name}"


def test_a_version_can_write_rows_to_the_next_ones_tables() -> None:
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("webapp.")}
    migrated = MigrationLoader(None).disk_migrations
    assert BEFORE.items() <= {label: name for label, name in migrated if BEFORE.get(label) == name}.items()
    found = {
        f"{label}.{name}": list(unwritable(migration.operations))
        for (label, name), migration in migrated.items()
        if label in ours and name > BEFORE.get(label, "")
    }
    assert not {name: columns for name, columns in found.items() if columns}, "Give these columns a `db_default`."


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
    add = migrations.AddField("Case", "colour", field)
    assert list(unwritable([add])) == ["Case.colour"] * refused
    assert list(unwritable([migrations.CreateModel("Case", []), add])) == []
