"""Archives: a ZIP of images, with or without a table of cases, that a worker unpacks into an open batch."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from webapp import storage
from webapp.audit.services import Actor, record
from webapp.cases.left_out import MAX_LISTED, Lines, keep_more, line
from webapp.cases.locks import locked, require_open
from webapp.cases.models import Archive, Batch
from webapp.cases.parts import arrived_size, give_up_parts
from webapp.cases.upload_limits import awaits_archive, given_up_before
from webapp.errors import Problem
from webapp.leases import UNLEASED, claim, expired, give_back
from webapp.queue import Task, ring, ring_now
from webapp.webhooks.events import archive_ended

GIVEN_UP_AT_ONCE = 100


def key_of(batch: Batch) -> str:
    """Where the archive of a batch is uploaded to."""
    return Archive(batch=batch).key


def complete_archive(*, actor: Actor, batch: Batch, capture: str = "") -> Archive:
    """Say that the archive of an open batch is in storage; a worker unpacks it. Saying it twice changes nothing.

    `capture` is that of its pictures without a table, where it differs from what was said when the batch was made.

    Raises Problem `upload_missing`, `parts_missing`, `archive_too_large`, `batch_not_open`.
    """
    awaited = Archive.objects.filter(batch=batch, batch__state=Batch.State.OPEN, state=Archive.State.AWAITING_UPLOAD)
    size = arrived_size(key_of(batch)) if awaited.exists() else None  # storage may be slow, so nothing is locked yet
    with transaction.atomic():
        batch = locked(batch.pk)
        archive = Archive.objects.filter(batch=batch).first()
        if archive is not None and archive.state != Archive.State.AWAITING_UPLOAD:
            return archive
        require_open(batch)
        if archive is None or (size is None and not awaits_archive(batch)):
            told = "This batch awaits no archive: it was made without `archive`, or the time to send it is over."
            raise Problem("upload_missing", f"{told} Send it in a new batch.")
        if size is None:
            raise Problem("upload_missing", "No archive has arrived for this batch. Upload it, then complete it again.")
        if size > settings.IMPORT_MAX_BYTES:
            limit = settings.IMPORT_MAX_BYTES // 1024**2
            message = f"The archive is larger than {limit} MB. Split it into several."
            raise Problem("archive_too_large", message, status=413)
        archive.state, archive.listed = Archive.State.STORED, batch.cases.exists()
        archive.capture, archive.stored_at = capture or archive.capture, timezone.now()
        archive.save(update_fields=["state", "listed", "capture", "stored_at"])
        record(actor=actor, action="archive.stored", object_id=batch.pk, organisation=batch.organisation)
        ring(Task.EXPAND)
        return archive


def waiting_archives() -> QuerySet[Archive]:
    """Archives that nobody is unpacking."""
    return Archive.objects.filter(state=Archive.State.STORED, lease_token=None).order_by("stored_at")


def claim_archive() -> tuple[uuid.UUID, Archive] | None:
    """Lease an archive to unpack: the oldest of the organisation that has fewest under lease, so that one with many
    holds up no other's; None when none waits.
    """
    under_lease = Archive.objects.filter(state=Archive.State.STORED, lease_token__isnull=False)
    theirs = under_lease.filter(batch__organisation=OuterRef("batch__organisation")).values("batch__organisation")
    fewest = Coalesce(Subquery(theirs.annotate(count=Count("pk")).values("count")), 0)
    waiting = waiting_archives().order_by(fewest, "stored_at")
    token, archives = claim(waiting.select_related("batch", "batch__organisation"), limit=1)
    return (token, archives[0]) if archives else None


def finish(
    *,
    archive: Archive,
    token: uuid.UUID,
    report: Lines,
    more: Lines = (),
    left_out: Lines = (),
    reason: str = "",
) -> bool:
    """End the unpacking: expanded, or refused for `reason`. The ZIP itself is not kept. False if the lease was lost.

    What is `left_out` holds nothing up, unlike what the `report` lists: its batch names it. Both keep so many lines as
    are shown; the others, and those that say `more` about them, are kept to be taken away.

    A client may still hold a URL for it, so the sweep deletes it once more when that has expired.
    """
    forget_at = timezone.now() + timedelta(seconds=settings.UPLOAD_URL_SECONDS)
    state = Archive.State.REFUSED if reason else Archive.State.EXPANDED
    held = Archive.objects.filter(pk=archive.pk, state=Archive.State.STORED, lease_token=token)
    with transaction.atomic():
        batch = locked(archive.batch_id)
        listed = report[:MAX_LISTED]
        if not held.update(state=state, reason=reason, report=listed, forget_at=forget_at, **UNLEASED):
            return False
        if left_out:
            batch.left_out = [*batch.left_out, *left_out[:MAX_LISTED]]
            batch.save(update_fields=["left_out"])
        keep_more(batch=batch, lines=[*report[MAX_LISTED:], *more, *left_out[MAX_LISTED:]])
        archive.state, archive.reason, archive.report = state, reason, listed
        archive_ended(archive=archive)
    storage.delete(archive.key)
    return True


def sweep_archives() -> int:
    """Give lost archives back, or refuse them when their attempts are spent; gives how many rows changed."""
    lost = Archive.objects.filter(expired(), state=Archive.State.STORED)
    changed = give_back(lost)
    message = "This archive could not be unpacked. Make the ZIP again, or send it in parts. It goes into a new batch."
    report = [line("", "archive_failed", message)]
    for archive in lost.filter(attempt__gte=settings.MAX_ATTEMPTS):
        if archive.lease_token is not None:
            changed += finish(archive=archive, token=archive.lease_token, report=report, reason="archive_failed")
    changed += _give_up_awaited() + _forget_ended()
    if waiting_archives().exists():
        ring_now(Task.EXPAND, again=True)
    return changed


def _give_up_awaited() -> int:
    """Forget archives that nobody completed, with what was uploaded of them, once no URL for them is valid any more."""
    urls = timedelta(seconds=settings.UPLOAD_URL_SECONDS)
    no_url_is_valid = timezone.now() - urls
    over = Q(batch__finished_at__lt=no_url_is_valid) | Q(batch__submitted_at__lt=no_url_is_valid)
    over |= Q(created_at__lt=given_up_before() - urls)
    given_up = 0
    awaited = Archive.objects.filter(over, state=Archive.State.AWAITING_UPLOAD)
    for archive in awaited.order_by("?")[:GIVEN_UP_AT_ONCE]:
        with storage.others_go_on(archive=archive.pk), transaction.atomic():
            if Archive.objects.filter(pk=archive.pk, state=Archive.State.AWAITING_UPLOAD).delete()[0]:
                give_up_parts(key=archive.key)
                storage.delete(archive.key)
                given_up += 1
    return given_up


def _forget_ended() -> int:
    """Make sure that no archive that has ended is kept, though it was uploaded again."""
    forgotten = []
    for archive in Archive.objects.filter(forget_at__lt=timezone.now()).order_by("?")[:GIVEN_UP_AT_ONCE]:
        with storage.others_go_on(archive=archive.pk):
            storage.delete(archive.key)
            forgotten.append(archive.pk)
    return Archive.objects.filter(pk__in=forgotten).update(forget_at=None)
