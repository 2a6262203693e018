"""Files that come in parts: which are still to come, and what becomes of those that nobody sends."""

import uuid
from dataclasses import dataclass

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q

from webapp import multipart, storage
from webapp.cases.models import Batch, PartedUpload
from webapp.cases.upload_limits import check_awaited, check_size, given_up_before
from webapp.errors import Problem
from webapp.storage import UploadTarget

logger = structlog.get_logger(__name__)
SWEPT_AT_ONCE = 100


@dataclass(frozen=True)
class Part:
    """A part of a file: its number from 1, its bytes, and where it goes, or None once it has arrived."""

    number: int
    size: int
    upload: UploadTarget | None


def send_in_parts(*, batch_id: uuid.UUID, key: str, size: int) -> list[Part]:
    """Begin to take the awaited object `key` of `size` bytes in parts, or go on with it: which parts are still to come.

    Another size begins anew. Raises Problem `not_awaited`, `too_large_bytes`.
    """
    check_size(key, size)
    check_awaited(key)
    upload = PartedUpload.objects.filter(key=key).first()
    there = multipart.arrived(key, upload.upload_id) if upload and upload.size == size else None
    if upload is None or there is None:
        begun = PartedUpload(batch_id=batch_id, key=key, upload_id=multipart.begin(key), size=size)
        if not _replaced(upload, begun):  # another request has begun it at the same moment
            return send_in_parts(batch_id=batch_id, key=key, size=size)
        upload, there = begun, {}
    return [
        Part(n, each, None if there.get(n) == each else multipart.target(key, upload.upload_id, n, each))
        for n, each in enumerate(multipart.part_sizes(size), start=1)
    ]


def _replaced(former: PartedUpload | None, begun: PartedUpload) -> bool:
    """Take `begun` instead of `former`, without asking storage while rows are locked. False if another was quicker.

    Raises Problem `not_awaited`. An upload that is not taken is forgotten by storage too.
    """
    given_up: PartedUpload | None = begun
    try:
        with transaction.atomic():
            if former is not None:
                PartedUpload.objects.filter(pk=former.pk).delete()
            begun.save(force_insert=True)
            check_awaited(begun.key, lock=True)
        given_up = former
    except IntegrityError:
        return False
    finally:
        if given_up is not None:
            multipart.abort(given_up.key, given_up.upload_id)
    return True


@transaction.atomic
def arrived_size(key: str) -> int | None:
    """The size in bytes of the object `key`, joined from its parts if it came in parts; None if nothing has come.

    Holds no row but that of the parts, so only those who ask for the same file wait for storage. Raises Problem
    `parts_missing` with their numbers.
    """
    upload = PartedUpload.objects.select_for_update().filter(key=key).first()
    if upload is None:
        return storage.size(key)
    there = multipart.arrived(key, upload.upload_id)
    if there is None and (size := storage.size(key)) is not None:  # joined by a request that died before it said so
        return size
    missing = [n for n, each in enumerate(multipart.part_sizes(upload.size), start=1) if (there or {}).get(n) != each]
    if missing:
        raise Problem(
            "parts_missing", "Some parts have not arrived. Ask for their URLs again and send them.", parts=missing
        )
    multipart.join(key, upload.upload_id)
    upload.delete()
    return storage.size(key)


@transaction.atomic
def give_up_parts(*, key: str) -> None:
    """Forget the parts of the object `key` that have arrived; without any this does nothing."""
    for upload in PartedUpload.objects.select_for_update().filter(key=key):
        _give_up(upload)


def sweep_parts() -> int:
    """Forget the parts of files that nobody completed in time or awaits any more; gives how many files."""
    over = ~Q(batch__state=Batch.State.OPEN) | Q(created_at__lt=given_up_before())
    keys = list(PartedUpload.objects.filter(over).order_by("pk").values_list("key", flat=True)[:SWEPT_AT_ONCE])
    return sum(_gave_up(key) for key in keys)


def forget_unknown_parts() -> int:
    """Make storage forget uploads in parts that no row names, as a request that died in between leaves them; gives how
    many. Storage is asked for all that it has, so this is not for every sweep.
    """
    begun = list(multipart.begun_before(given_up_before()))
    ids = [upload_id for _, upload_id in begun]
    known = set(PartedUpload.objects.filter(upload_id__in=ids).values_list("upload_id", flat=True))
    unknown = [(key, upload_id) for key, upload_id in begun if upload_id not in known]
    for key, upload_id in unknown[:SWEPT_AT_ONCE]:
        multipart.abort(key, upload_id)
    return len(unknown[:SWEPT_AT_ONCE])


def _gave_up(key: str) -> bool:
    try:
        give_up_parts(key=key)
    except Exception as error:  # one that storage will not let go must not keep the others
        logger.warning("parts_not_given_up", error=type(error).__name__)
        return False
    return True


def _give_up(upload: PartedUpload) -> None:
    multipart.abort(upload.key, upload.upload_id)
    upload.delete()
