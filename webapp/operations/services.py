"""The verbs of this room."""

from django.db.models.functions import Now

from webapp.operations.models import Sweep
from webapp.operations.readiness import works


def note_sweep() -> None:
    """The sweep runs now, by the database's clock."""
    Sweep.objects.update_or_create(pk=1, defaults={"ran_at": Now()})


def note_storage() -> int:
    """Where storage answers, within seconds, it was reached now. A part of the sweep that sets nothing going: 0."""
    if works("storage"):
        Sweep.objects.filter(pk=1).update(storage_at=Now())
    return 0
