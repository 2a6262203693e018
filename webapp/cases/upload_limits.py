"""Which files are awaited, or kept to be checked again, until when, and how large they may be."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from webapp import storage
from webapp.cases.models import Archive, Batch, Image
from webapp.errors import Problem

# Asked once for each file that arrives: the ORM takes longer to write such a query than Postgres to answer it.
IS_AWAITED = """
SELECT 1 FROM cases_image WHERE id = %(id)s AND (tries = %(tries)s AND state = 'awaiting_upload'
    OR tries = %(tries)s - 1 AND state = 'rejected' AND another_at IS NOT NULL)
"""

TRANSIENT_REASONS = ("inspection_failed", "storage_refused")  # reasons of a failed check, which say nothing of the file


def given_up_before() -> datetime:
    """What is awaited since before this moment is not taken any more."""
    return timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS)


def may_be_checked_again() -> Q:
    """Of images whose check failed for a reason that may pass, as long as their files are kept for another. Nothing of
    a cancelled batch is checked again, nor of a case that its patient has read.
    """
    failed = Q(state=Image.State.REJECTED, reason__in=TRANSIENT_REASONS, ended_at__gte=given_up_before())
    return failed & ~Q(batch__state=Batch.State.CANCELLED) & Q(case__released_at=None)


def check_awaited(key: str, *, lock: bool = False) -> None:
    """Raises Problem `not_awaited` unless the object `key` is still to be uploaded. `lock` keeps it so."""
    name = key.rpartition("/")[2]
    if key.startswith(storage.ARCHIVES):
        batches = Batch.objects.filter(pk=name.removesuffix(".zip"), state=Batch.State.OPEN)
        batch = (batches.select_for_update(no_key=True) if lock else batches).first()
        awaited = batch is not None and awaits_archive(batch)
    else:
        image, _, tries = name.partition(".")
        with connection.cursor() as cursor:
            cursor.execute(IS_AWAITED + ("FOR UPDATE" if lock else ""), {"id": image, "tries": int(tries or 0)})
            awaited = cursor.fetchone() is not None
    if not awaited:
        message = "This file is not awaited, or not any more, so none is taken for it. Put another in a new batch."
        raise Problem("not_awaited", message)


def awaits_archive(batch: Batch) -> bool:
    """Whether the ZIP of an open batch is still to be uploaded."""
    awaited = Archive.objects.filter(
        batch=batch, state=Archive.State.AWAITING_UPLOAD, created_at__gte=given_up_before()
    )
    return batch.state == Batch.State.OPEN and awaited.exists()


def limit_of(key: str) -> int:
    """The bytes that the object `key` may have."""
    return int(settings.IMPORT_MAX_BYTES if key.startswith(storage.ARCHIVES) else settings.UPLOAD_MAX_BYTES)


def check_size(key: str, size: int) -> None:
    """Raises Problem `too_large_bytes` where the object `key` may not be as large."""
    if size > (limit := limit_of(key)):
        raise Problem("too_large_bytes", f"The file is larger than {limit // 1024**2} MB. Send less.", status=413)
