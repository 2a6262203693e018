"""How an image's intake ends: fit for the model, refused, or never uploaded. Workers call these."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from ml.imaging.refusal import SENTENCES
from webapp import storage
from webapp.audit.services import Actor, record
from webapp.cases.models import Batch, Case, Image
from webapp.errors import Problem
from webapp.inference.completion import end_images
from webapp.inference.services import enqueue
from webapp.leases import UNLEASED, claim, expired
from webapp.queue import Task, ring_now

FORGOTTEN_AT_ONCE = 100


@dataclass(frozen=True)
class Found:
    """What intake found in a file that could be decoded. `width` and `height` are of the stored derivative."""

    sha256: str
    width: int
    height: int
    quality: Sequence[dict[str, Any]] = ()


def waiting_images() -> Any:
    """Images that nobody is inspecting, people who wait first."""
    return Image.objects.filter(state=Image.State.STORED, lease_token=None).order_by("batch__priority", "stored_at")


def claim_images(*, limit: int) -> tuple[uuid.UUID, list[Image]]:
    """Lease images to inspect."""
    return claim(waiting_images().select_related("batch"), limit=limit)


def accept(*, image: Image, token: uuid.UUID, found: Found) -> bool:
    """The image is fit: it joins the queue if its batch is submitted. False if the lease was lost.

    A second image of the same bytes in a batch is refused as `duplicate`.
    """
    try:
        with transaction.atomic():
            batch = Batch.objects.select_for_update().get(pk=image.batch_id)
            if not _end(image, token, state=Image.State.READY, **_columns(found)):
                return False
            if batch.state == Batch.State.SUBMITTED:
                enqueue(batch=batch, images=[image])
            return True
    except IntegrityError as error:
        if "image_no_duplicate_in_batch" not in str(error):
            raise
    return refuse(
        image=image,
        token=token,
        code="duplicate",
        advice=SENTENCES["duplicate"],
        found=replace(found, quality=()),
    )


@transaction.atomic
def refuse(*, image: Image, token: uuid.UUID, code: str, advice: str, found: Found = Found("", 0, 0)) -> bool:
    """The image cannot be used; the rest of its batch goes on. False if the lease was lost."""
    batch = Batch.objects.select_for_update().get(pk=image.batch_id)
    changed = _end(image, token, state=Image.State.REJECTED, reason=code, advice=advice, **_columns(found))
    if changed and batch.state == Batch.State.SUBMITTED:
        end_images(batch=batch, ended=[image], failures=1)
    return changed


def _columns(found: Found) -> dict[str, Any]:
    return {**asdict(found), "quality": list(found.quality)}


def _end(image: Image, token: uuid.UUID, **changes: Any) -> bool:
    ended = {**changes, **UNLEASED, "ended_at": timezone.now()}
    rows = Image.objects.filter(pk=image.pk, state=Image.State.STORED, lease_token=token)
    if not rows.update(**ended):
        return False
    for name, value in ended.items():
        setattr(image, name, value)
    return True


@transaction.atomic
def override_quality(*, actor: Actor, image: Image) -> None:
    """A provider insists on an image that the quality check refused.

    Raises Problem `not_overridable`, `duplicate`, and `case_released`: what a patient has read is not changed after.
    """
    batch = Batch.objects.select_for_update().get(pk=image.batch_id)
    refused = Image.objects.filter(
        pk=image.pk, state=Image.State.REJECTED, width__gt=0, reason__in=_quality_codes(image)
    )
    if not refused.exists():
        raise Problem("not_overridable", "Only an image that failed the quality check can be used against its advice.")
    if Case.objects.filter(pk=image.case_id, released_at__isnull=False).exists():
        raise Problem("case_released", "The patient has this case's result already. Send the image in a new case.")
    if batch.images.filter(state=Image.State.READY, sha256=image.sha256).exists():
        raise Problem("duplicate", SENTENCES["duplicate"])
    refused.update(
        state=Image.State.READY, reason="", advice="", quality_overridden_by=actor.user, ended_at=timezone.now()
    )
    image.refresh_from_db()
    if batch.state not in (Batch.State.OPEN, Batch.State.CANCELLED):
        reopened = Batch.objects.filter(pk=batch.pk)
        reopened.update(
            state=Batch.State.SUBMITTED,
            finished_at=None,
            remaining=batch.remaining + 1,
            failures=max(batch.failures - 1, 0),
        )
        batch.refresh_from_db()
        enqueue(batch=batch, images=[image])
    record(actor=actor, action="image.quality_overridden", object_id=image.id, organisation=image.organisation)


def _quality_codes(image: Image) -> list[str]:
    return [flag["code"] for flag in image.quality]


def sweep_images() -> int:
    """Give lost inspections back, give up what was never uploaded; gives how many rows changed.

    An image whose inspection keeps dying is refused as `inspection_failed`: one image must not stop the rest.
    """
    lost = Image.objects.filter(expired(), state=Image.State.STORED)
    changed = lost.filter(attempt__lt=settings.MAX_ATTEMPTS).update(**UNLEASED)
    for image in lost.filter(attempt__gte=settings.MAX_ATTEMPTS):
        if image.lease_token is not None and refuse(
            image=image,
            token=image.lease_token,
            code="inspection_failed",
            advice="This file could not be checked. Please export the picture again as JPEG and send that.",
        ):
            changed += 1
    changed += _expire_uploads()
    if waiting_images().exists():
        ring_now(Task.INSPECT, again=True)
    return changed


def _expire_uploads() -> int:
    deadline = timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS)
    return Image.objects.filter(
        state=Image.State.AWAITING_UPLOAD, created_at__lt=deadline, batch__state=Batch.State.OPEN
    ).update(state=Image.State.EXPIRED, ended_at=timezone.now())


def forget_originals() -> int:
    """Make sure that no image that has ended is kept as it was received, with all that its camera wrote into it.

    Intake deletes the original at once. This finds what a worker that died, a client that uploaded and never
    completed, or one that used its upload URL twice has left: it waits until no URL for the image is valid any more.
    """
    no_url_is_valid = timezone.now() - timedelta(seconds=settings.UPLOAD_URL_SECONDS)
    ended = Image.objects.filter(original_forgotten=False, ended_at__lt=no_url_is_valid).order_by("ended_at")
    images = list(ended[:FORGOTTEN_AT_ONCE])
    for image in images:
        storage.delete(image.upload_key)
    return Image.objects.filter(pk__in=[image.pk for image in images]).update(original_forgotten=True)
