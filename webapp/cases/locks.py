"""The lock that orders whoever works on one batch, and what it must be for something to join it."""

import uuid
from collections.abc import Collection

from webapp.cases.models import Batch
from webapp.errors import Problem


def locked(batch_id: uuid.UUID) -> Batch:
    """The batch as it is now, which nobody else has locked until this transaction ends.

    Who changes several rows of a batch, or ends one of its images or jobs, locks the batch first and its rows after, so
    that no two wait for each other.
    """
    return Batch.objects.select_for_update(no_key=True).get(pk=batch_id)


def all_locked(batch_ids: Collection[uuid.UUID]) -> list[Batch]:
    """Several batches as `locked` gives one: always in the same order for the same reason, which is that of their
    organisations, because who ends patients' batches one after another locks these too.
    """
    rows = Batch.objects.select_for_update(no_key=True).filter(pk__in=batch_ids)
    return list(rows.order_by("organisation_id", "pk"))


def require_open(batch: Batch, *, joining: str = "cases") -> None:
    """Raises Problem `batch_not_open` where nothing can join a batch any more, which says what became of it."""
    if batch.state != Batch.State.OPEN:
        became = "cancelled" if batch.state == Batch.State.CANCELLED else "submitted"
        raise Problem("batch_not_open", f"This batch was {became}. Put further {joining} in a new batch.")
