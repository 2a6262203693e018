"""Inspects uploaded images: type, safety, quality; stores them without metadata; unpacks archives."""

import fcntl
import hashlib
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import cv2
import structlog
from django.conf import settings

from ml.imaging.decode import Decoded, decode
from ml.imaging.derivatives import clean
from ml.imaging.quality import check
from ml.imaging.refusal import ImageRefused
from webapp import storage
from webapp.cases.archives import claim_archive
from webapp.cases.intake import (
    NOT_STORED,
    REFUSED_BY_STORAGE,
    InspectionResult,
    claim_images,
    finish_intake,
    somebody_waits,
)
from webapp.cases.models import Archive, Image, Priority
from webapp.cases.unpacking import expand
from webapp.cases.upload_limits import TRANSIENT_REASONS
from webapp.leases import UNLEASED, excuse
from webapp.queue import Task, ring_now
from workers.task import RUN_SECONDS, stopping, task

logger = structlog.get_logger(__name__)
CLAIM_SIZE = 16
LOOK_SECONDS = 0.03  # bulk work looks for people as often, and not before each image: it costs a query
# Two fewer than a worker has processes: a photo waits neither for an archive nor for what is sent.
ARCHIVES_AT_ONCE = 2
_TURNS = tempfile.TemporaryFile()  # noqa: SIM115 - the worker's processes inherit it, and nobody else has it


@task(Task.INSPECT, soft_limit=300, hard_limit=330)
def inspect_waiting() -> None:
    """Inspect images until none waits."""
    cv2.setNumThreads(1)  # the workers beside this one have the other cores
    started, alone_first = time.monotonic(), True
    while time.monotonic() - started < RUN_SECONDS:
        token, images = claim_images(limit=CLAIM_SIZE, alone_first=alone_first)
        alone_first = not alone_first  # so what is tried once more, one by one, holds up nobody's first check
        if not images:
            return
        if len(images) == CLAIM_SIZE:
            ring_now(Task.INSPECT)  # there may be work for another thread or worker too
        if not _inspect_all(images, token):
            return
    ring_now(Task.INSPECT)


def _inspect_all(images: Sequence[Image], token: uuid.UUID) -> bool:
    """Inspect leased images and end their intake together; but that of a person who waits at once.

    False where storage is away: that counts as no attempt, the image's lease paces the next, and the others wait again.
    """
    inspected = []
    looked = time.monotonic()  # a claim takes people first
    for place, image in enumerate(images):
        if time.monotonic() - looked > LOOK_SECONDS:
            _inspect_people(image)
            looked = time.monotonic()
        try:
            inspected.append((image, inspect(image)))
        except storage.ObjectRefused as error:  # the others go on; this one's lease runs out, while it has attempts
            logger.error("object_refused", image=str(image.pk), attempt=image.attempt, error=str(error))
            if image.attempt >= settings.MAX_ATTEMPTS:
                inspected.append((image, REFUSED_BY_STORAGE))
        except storage.StorageAway as error:
            logger.warning("storage_away", image=str(image.pk), error=str(error))
            excuse(Image.objects.filter(pk=image.pk), token)
            others = [other.pk for other in images[place + 1 :]]
            excuse(Image.objects.filter(pk__in=others), token, **UNLEASED)
            _finish(inspected, token)
            return False
        except Exception:  # a fault of ours: the lease runs out, and the others go on
            logger.exception("inspection_failed", image=str(image.pk))
        if image.priority == Priority.INTERACTIVE:
            _finish(inspected, token)
            inspected = []
    _finish(inspected, token)
    return True


def _inspect_people(next_image: Image) -> None:
    """Inspect the photos of people who came since bulk work was claimed: they do not wait for the rest of it."""
    if next_image.priority != Priority.INTERACTIVE and somebody_waits():
        token, images = claim_images(limit=CLAIM_SIZE, people_only=True)
        _inspect_all(images, token)


def _finish(inspected: Sequence[tuple[Image, InspectionResult]], token: uuid.UUID) -> None:
    try:
        ended = finish_intake(token=token, inspected=inspected)
        for image in ended:
            if image.reason not in TRANSIENT_REASONS:
                storage.delete(image.upload_key)  # the original with its metadata is not kept
            logger.info("image_inspected", image=str(image.pk), state=image.state, reason=image.reason)
    except Exception:  # the database or storage is away: the leases run out
        logger.exception("intake_not_finished", images=[str(image.pk) for image, _ in inspected])


def inspect(image: Image) -> InspectionResult:
    """Look at one image, and store what is kept of it. Raises StorageAway."""
    try:
        data = _received(image)
        if len(data) > settings.UPLOAD_MAX_BYTES:
            raise ImageRefused("too_large_bytes")
        return _judged(image, decode(data), hashlib.sha256(data).hexdigest())
    except FileNotFoundError:
        return NOT_STORED
    except ImageRefused as refused:
        return InspectionResult(code=refused.code, advice=refused.message)


def _received(image: Image) -> bytes:
    """The file as it came, or what intake has kept of it: a restored row is older than the copy of the bucket, so its
    intake may have ended before that was made. Raises FileNotFoundError, StorageAway.
    """
    limit = settings.UPLOAD_MAX_BYTES + 1
    try:
        return storage.read(image.upload_key, limit=limit)
    except FileNotFoundError:
        return storage.read(image.clean_key, limit=limit)


def _judged(image: Image, picture: Decoded, sha256: str) -> InspectionResult:
    """Store a picture without metadata, and judge its quality. `sha256` is of the file as it was received."""
    storage.write(image.clean_key, clean(picture))
    height, width = picture.pixels.shape[:2]
    flags = [asdict(flag) for flag in check(picture.pixels).flags]
    first = flags[0] if flags else {"code": "", "advice": ""}
    return InspectionResult(sha256, width, height, flags, first["code"], first["advice"])


@task(Task.EXPAND, soft_limit=1800, hard_limit=1860)
def expand_waiting() -> None:
    """Unpack an archive if one waits; then another wake-up goes on, so that what is quicker gets its turn, or another
    worker's, where this one is asked to end.
    """
    with _turn() as free:
        leased = claim_archive() if free and not stopping.is_set() else None
        if leased:
            _expand(*leased)
    if leased:
        ring_now(Task.EXPAND)


def _expand(token: uuid.UUID, archive: Archive) -> None:
    try:
        expand(token, archive, stopping=stopping.is_set)
    except storage.ObjectRefused as error:  # the lease runs out, and attempts are counted
        logger.error("object_refused", archive=archive.pk, attempt=archive.attempt, error=str(error))
    except storage.StorageAway as error:  # which is no attempt; the lease paces the next
        logger.warning("storage_away", archive=archive.pk, error=str(error))
        excuse(Archive.objects.filter(pk=archive.pk), token)


@contextmanager
def _turn() -> Iterator[bool]:
    """Whether this process is one of the few of its worker that may unpack now; it is, until the block ends.

    Locks of POSIX: each belongs to a process, and the kernel lets it go when that process dies.
    """
    for place in range(ARCHIVES_AT_ONCE):
        try:
            fcntl.lockf(_TURNS, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:  # another process has it
            continue
        try:
            yield True
        finally:
            fcntl.lockf(_TURNS, fcntl.LOCK_UN, 1, place)
        return
    yield False
