"""Archives: a ZIP of images, with or without a table of cases, that a worker unpacks into an open batch."""

import uuid

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from webapp import storage
from webapp.audit.services import Actor, record
from webapp.cases.models import Archive, Batch, Case
from webapp.errors import Problem
from webapp.leases import UNLEASED, claim, expired
from webapp.queue import Task, ring, ring_now

LEASE_SECONDS = 600  # fetching two gigabytes takes longer than looking at one picture


def key_of(batch: Batch) -> str:
    """Where the archive of a batch is uploaded to."""
    return Archive(batch=batch).key


@transaction.atomic
def complete_archive(*, actor: Actor, batch: Batch, capture: str = Case.Capture.DERMOSCOPIC) -> Archive:
    """Say that the archive of an open batch is in storage; a worker unpacks it. Saying it twice changes nothing.

    Raises Problem `upload_missing`, `archive_too_large`, `batch_not_open`.
    """
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    archive = Archive.objects.filter(batch=batch).first()
    if archive is not None:
        return archive
    if batch.state != Batch.State.OPEN:
        raise Problem("batch_not_open", "This batch was submitted. Put further cases in a new batch.")
    size = storage.size(key_of(batch))
    if size is None:
        raise Problem("upload_missing", "No archive has arrived for this batch. Upload it, then complete it again.")
    if size > settings.IMPORT_MAX_BYTES:
        limit = settings.IMPORT_MAX_BYTES // 1024**2
        raise Problem("archive_too_large", f"The archive is larger than {limit} MB. Split it into several.", status=413)
    archive = Archive.objects.create(batch=batch, state=Archive.State.STORED, capture=capture)
    record(actor=actor, action="archive.stored", object_id=batch.pk, organisation=batch.organisation)
    ring(Task.EXPAND)
    return archive


def waiting_archives() -> QuerySet[Archive]:
    """Archives that nobody is unpacking."""
    return Archive.objects.filter(state=Archive.State.STORED, lease_token=None).order_by("created_at")


def claim_archive() -> tuple[uuid.UUID, Archive] | None:
    """Lease the oldest archive to unpack; None when none waits."""
    token, archives = claim(
        waiting_archives().select_related("batch", "batch__organisation"), limit=1, seconds=LEASE_SECONDS
    )
    return (token, archives[0]) if archives else None


def finish(*, archive: Archive, token: uuid.UUID, report: list[dict[str, str]], reason: str = "") -> bool:
    """End the unpacking: expanded, or refused for `reason`. The ZIP itself is not kept. False if the lease was lost."""
    state = Archive.State.REFUSED if reason else Archive.State.EXPANDED
    held = Archive.objects.filter(pk=archive.pk, state=Archive.State.STORED, lease_token=token)
    if not held.update(state=state, reason=reason, report=report, **UNLEASED):
        return False
    storage.delete(archive.key)
    return True


def sweep_archives() -> int:
    """Give lost archives back, or refuse them when their attempts are spent; gives how many rows changed."""
    lost = Archive.objects.filter(expired(), state=Archive.State.STORED)
    changed = lost.filter(attempt__lt=settings.MAX_ATTEMPTS).update(**UNLEASED)
    message = "This archive could not be unpacked. Please make the ZIP file again, or send it in parts."
    report = [{"name": "", "code": "archive_failed", "message": message}]
    for archive in lost.filter(attempt__gte=settings.MAX_ATTEMPTS):
        if archive.lease_token is not None:
            changed += finish(archive=archive, token=archive.lease_token, report=report, reason="archive_failed")
    if waiting_archives().exists():
        ring_now(Task.EXPAND, again=True)
    return changed
