"""Leases: how a worker takes rows so that no other worker has them, and loses them if it dies.

One pattern for everything that is worked on in the background (images, archives, jobs, letters, webhooks, training
runs): a claim commits `attempt + 1`, a token and a deadline before any work starts; the work is finished `WHERE
lease_token = token`, so a worker that lost its lease changes nothing. The database's clock sets the deadline and judges
it: those of the workers' machines may disagree.
"""

import uuid
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now


class Leased(models.Model):
    """Columns of a row that workers lease."""

    attempt = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=Leased)

UNLEASED: dict[str, Any] = {"lease_token": None, "lease_until": None}


def expired() -> Q:
    """The rows whose lease ran out: their worker died, or is too slow to be trusted."""
    return Q(lease_token__isnull=False, lease_until__lt=Now())


def lasting(seconds: float | None = None) -> CombinedExpression:
    """The deadline, as a column's new value, of a lease that lasts so long from now; None takes LEASE_SECONDS."""
    return Now() + timedelta(seconds=seconds or settings.LEASE_SECONDS)


def claim(
    waiting: "models.QuerySet[Row]", *, limit: int, seconds: int | None = None, **changes: Any
) -> tuple[uuid.UUID, list[Row]]:
    """Lease up to `limit` of the `waiting` rows, in their order, setting `changes` on them; committed on return.

    Gives the lease's token and the leased rows, without their deadline. Rows that another worker is claiming at this
    moment are skipped.
    """
    token = uuid.uuid4()
    with transaction.atomic(durable=True):
        rows = list(waiting.filter(lease_token=None).select_for_update(skip_locked=True, of=("self",))[:limit])
        waiting.model._default_manager.filter(pk__in=[row.pk for row in rows]).update(
            attempt=F("attempt") + 1, lease_token=token, lease_until=lasting(seconds), **changes
        )
    for row in rows:
        row.attempt += 1
        row.lease_token = token
        for name, value in changes.items():
            setattr(row, name, value)
    return token, rows


def extend(rows: "models.QuerySet[Row]", token: uuid.UUID, *, seconds: int | None = None) -> int:
    """Push the deadline of a lease that is still held; gives how many rows it still holds."""
    return rows.filter(lease_token=token).update(lease_until=lasting(seconds))


def give_back(lost: "models.QuerySet[Row]", **changes: Any) -> int:
    """Let those of the `lost` rows wait again that have attempts left, and set `changes` on them; gives how many.

    A worker that is late after all holds its rows: they are for the next sweep.
    """
    with transaction.atomic():
        again = lost.filter(attempt__lt=settings.MAX_ATTEMPTS).select_for_update(skip_locked=True, of=("self",))
        rows = lost.model._default_manager.filter(pk__in=list(again.values_list("pk", flat=True)))
        return rows.update(**changes, **UNLEASED)


def excuse(rows: "models.QuerySet[Row]", token: uuid.UUID, **changes: Any) -> int:
    """Count no attempt against rows whose lease is still held, and set `changes` on them; gives how many."""
    return rows.filter(lease_token=token, attempt__gt=0).update(attempt=F("attempt") - 1, **changes)
