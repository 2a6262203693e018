"""Inspects uploaded images: type, safety, quality; stores derivatives without metadata; unpacks archives."""

import time
import uuid
from dataclasses import asdict

import structlog
from django.conf import settings

from ml.imaging.decode import Decoded, decode
from ml.imaging.derivatives import derivatives
from ml.imaging.quality import check
from ml.imaging.refusal import ImageRefused
from webapp import storage
from webapp.cases.archives import claim_archive
from webapp.cases.intake import Found, accept, claim_images, refuse
from webapp.cases.models import Image
from webapp.cases.unpacking import expand
from webapp.queue import Task, ring_now
from workers.task import task

logger = structlog.get_logger(__name__)
CLAIM_SIZE = 8
RUN_SECONDS = 5  # then another wake-up goes on, so that the sweep and the messages get their turn


@task(Task.INSPECT, soft_limit=300, hard_limit=330)
def inspect_waiting() -> None:
    """Inspect images until none waits."""
    started = time.monotonic()
    while time.monotonic() - started < RUN_SECONDS:
        token, images = claim_images(limit=CLAIM_SIZE)
        if not images:
            return
        if len(images) == CLAIM_SIZE:
            ring_now(Task.INSPECT)  # there may be work for another thread or worker too
        for image in images:
            try:
                inspect(image, token)
            except Exception:  # storage is away, or a fault of ours: the lease runs out, and the others go on
                logger.exception("inspection_failed", image=str(image.pk))
    ring_now(Task.INSPECT)


def inspect(image: Image, token: uuid.UUID) -> None:
    """Inspect one leased image and end its intake."""
    try:
        size = storage.size(image.upload_key) or 0
        if size > settings.UPLOAD_MAX_BYTES:
            raise ImageRefused("too_large_bytes")
        picture = decode(storage.read(image.upload_key) if size else b"")
    except ImageRefused as refusal:
        ended = refuse(image=image, token=token, code=refusal.code, advice=refusal.message)
    else:
        ended = _judge(image, token, picture)
    if ended:
        storage.delete(image.upload_key)  # the original with its metadata is not kept
    logger.info("image_inspected", image=str(image.pk), state=image.state, reason=image.reason)


def _judge(image: Image, token: uuid.UUID, picture: Decoded) -> bool:
    """Store the derivatives of a picture, and accept it or refuse it for its quality."""
    made = derivatives(picture.image)
    storage.write(image.clean_key, made.clean)
    storage.write(image.thumbnail_key, made.thumbnail)
    flags = [asdict(flag) for flag in check(picture.image).flags]
    found = Found(sha256=picture.sha256, width=made.width, height=made.height, quality=flags)
    if flags:
        return refuse(image=image, token=token, code=flags[0]["code"], advice=flags[0]["advice"], found=found)
    return accept(image=image, token=token, found=found)


@task(Task.EXPAND, soft_limit=1800, hard_limit=1860)
def expand_waiting() -> None:
    """Unpack archives until none waits."""
    while leased := claim_archive():
        expand(*leased)
