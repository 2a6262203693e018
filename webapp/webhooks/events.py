"""What a clinic's software is told. Each event is written in the transaction that gives rise to it.

Events carry ids of this site and counts: no finding, no name, and no id of the clinic's own, which may be a name.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from webapp.accounts.models import Organisation
from webapp.cases.models import Archive, Batch, Case
from webapp.queue import Task, ring
from webapp.webhooks.models import Delivery, Endpoint, EventType


def batch_completed(*, batch: Batch) -> None:
    """Every image of a batch has ended. It may happen again, where an image is taken up once more."""

    def data() -> dict[str, Any]:
        images = batch.images.count()
        counts = {"total": images, "done": images - batch.failures, "failed": batch.failures}
        return {"batch_id": str(batch.pk), "state": batch.state, "images": counts}

    finished = batch.finished_at.isoformat() if batch.finished_at else ""
    _tell(batch.organisation, EventType.BATCH_COMPLETED, f"{batch.pk} {finished}", data)


def batch_cancelled(*, batch: Batch) -> None:
    """A person or a program has stopped a batch."""
    _tell(batch.organisation, EventType.BATCH_CANCELLED, str(batch.pk), lambda: {"batch_id": str(batch.pk)})


def archive_ended(*, archive: Archive) -> None:
    """A batch's archive was unpacked, or refused. `problems` counts what its report lists."""
    batch = archive.batch
    expanded = archive.state == Archive.State.EXPANDED

    def data() -> dict[str, Any]:
        counts = {"cases": batch.cases.count(), "images": batch.images.count(), "problems": len(archive.report)}
        return {"batch_id": str(batch.pk), **counts, **({} if expanded else {"reason": archive.reason})}

    _tell(
        batch.organisation,
        EventType.ARCHIVE_EXPANDED if expanded else EventType.ARCHIVE_REFUSED,
        str(archive.pk),
        data,
    )


def case_released(*, case: Case) -> None:
    """A result was given to the patient."""
    _tell(case.organisation, EventType.CASE_RELEASED, str(case.pk), lambda: _ids(case))


def case_raised(*, case: Case) -> None:
    """A case waits for a clinician again. It may happen again, where one has looked, or what came since is graver."""
    _tell(case.organisation, EventType.CASE_RAISED, f"{case.pk} {timezone.now().isoformat()}", lambda: _ids(case))


def _ids(case: Case) -> dict[str, str]:
    return {"case_id": str(case.pk), "batch_id": str(case.batch_id)}


def body_of(event_type: str, data: Mapping[str, Any]) -> str:
    """The event as it is sent: `type`, `timestamp` (when it happened) and `data`."""
    happened = timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event_type, "timestamp": happened, "data": data}, separators=(",", ":"))


def _tell(organisation: Organisation, event_type: str, occasion: str, data: Callable[[], Mapping[str, Any]]) -> None:
    endpoints = Endpoint.objects.filter(
        organisation=organisation, state=Endpoint.State.ENABLED, event_types__contains=[event_type]
    )
    wanted = list(endpoints.values_list("pk", flat=True))
    if not wanted:
        return
    body, now = body_of(event_type, data()), timezone.now()
    # The constraint `delivery_told_once` makes a repeat of the same news a no-op.
    Delivery.objects.bulk_create(
        [Delivery(endpoint_id=pk, type=event_type, occasion=occasion, body=body, send_after=now) for pk in wanted],
        ignore_conflicts=True,
    )
    ring(Task.WEBHOOKS)
