"""How an image's intake ends: fit for the model, refused, or never uploaded; and a provider who insists on it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from ml.imaging.refusal import SENTENCES
from webapp.audit.services import Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import Batch, Case, Image, Priority
from webapp.cases.refused import FOR_CLINICS
from webapp.cases.same_picture import IS_USED, SamePictures, heed_consensus, take_back, tell_others
from webapp.cases.upload_limits import given_up_before
from webapp.cases.uploads import NEVER_UPLOADED
from webapp.errors import Problem
from webapp.inference.completion import end_images
from webapp.inference.services import enqueue
from webapp.leases import expired, give_back
from webapp.queue import Task, ring_now
from webapp.turns import Queue, claim_in_turns

logger = structlog.get_logger(__name__)
ENDED_COLUMNS = [
    *("state", "reason", "advice", "ended_at", "lease_token", "lease_until"),
    *("sha256", "width", "height", "quality"),
]


@dataclass(frozen=True)
class InspectionResult:
    """The outcome of inspecting a file. `width` and `height` are of the stored derivative, 0 where there is none.

    With a `code` the image cannot be used, and `advice` says what to do.
    """

    sha256: str = ""
    width: int = 0
    height: int = 0
    quality: Sequence[dict[str, Any]] = ()
    code: str = ""
    advice: str = ""


UNCHECKED = InspectionResult(
    code="inspection_failed",
    advice="This file could not be checked. Please export the picture again as JPEG and send that.",
)
REFUSED_BY_STORAGE = InspectionResult(
    code="storage_refused",
    advice="The site could not keep this file. Please send it again, and tell whoever runs the site if that stays so.",
)
NOT_STORED = InspectionResult(
    code="upload_missing", advice="This file is not in storage any more. Please send it again."
)


WAITING = "state = 'stored' AND lease_token IS NULL"
QUEUE = Queue("cases_image", waiting=f"{WAITING} AND attempt = 0", order="stored_at")
TRIED = Queue("cases_image", waiting=f"{WAITING} AND attempt > 0", order="stored_at")


def waiting_images() -> "QuerySet[Image]":
    """Images that nobody is inspecting."""
    return Image.objects.filter(state=Image.State.STORED, lease_token=None)


def somebody_waits() -> bool:
    """Whether the photo of a person who waits is to be inspected for the first time."""
    return _any_waits(f"attempt = 0 AND priority = {Priority.INTERACTIVE}")


def _any_waits(condition: str) -> bool:
    """Whether an image that nobody is inspecting meets a condition, in SQL.

    Asked many times a second: the ORM would take twenty times as long, to write the query.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM cases_image WHERE {WAITING} AND {condition})")  # noqa: S608 - ours
        [(exists,)] = cursor.fetchall()
    return bool(exists)


def claim_images(*, limit: int, people_only: bool = False, alone_first: bool = True) -> tuple[uuid.UUID, list[Image]]:
    """Lease images to inspect, in turns. `people_only` leaves bulk work where it is.

    One whose inspection died before comes alone, so that it cannot take others with it; the photo of a person who
    waits goes before it. Without `alone_first`, so does all that was not tried before.
    """
    if alone_first and not (people_only or somebody_waits()):
        token, images = _claim_alone()
        if images:
            return token, images
    token, images = _claim(QUEUE, limit, Priority.INTERACTIVE if people_only else Priority.BULK)
    if not (images or people_only or alone_first):
        return _claim_alone()
    return token, images


def _claim_alone() -> tuple[uuid.UUID, list[Image]]:
    """Lease an image that was tried before, if one waits; in turns too, so that one clinic's many hold up nobody's."""
    return _claim(TRIED, 1, Priority.BULK) if _any_waits("attempt > 0") else (uuid.uuid4(), [])


def _claim(queue: Queue, limit: int, priority: int) -> tuple[uuid.UUID, list[Image]]:
    token, ids = claim_in_turns(queue, limit=limit, priority=priority)
    return token, list(Image.objects.filter(pk__in=ids).order_by("priority", "stored_at"))


def finish_intake(*, token: uuid.UUID, inspected: Sequence[tuple[Image, InspectionResult]]) -> list[Image]:
    """Write the results of inspecting leased images, each ready or rejected; gives those whose lease held.

    A fit one joins the queue if its batch is submitted; one that cannot be used is counted, and the rest goes on. Of
    the same bytes a second image of a case is refused as `duplicate`, and those of two cases as IN_TWO_CASES.
    """
    ended = []
    by_batch = sorted(inspected, key=lambda pair: pair[0].batch_id)
    for batch_id, pairs in groupby(by_batch, key=lambda pair: pair[0].batch_id):
        ended += _finish_batch_intake(batch_id, token, list(pairs))
    return ended


@transaction.atomic
def _finish_batch_intake(
    batch_id: uuid.UUID, token: uuid.UUID, inspected: Sequence[tuple[Image, InspectionResult]]
) -> list[Image]:
    batch = locked(batch_id)  # so nobody else makes an image of it ready
    leased = Image.objects.filter(
        pk__in=[image.id for image, _ in inspected], state=Image.State.STORED, lease_token=token
    )
    held = set(leased.select_for_update().values_list("pk", flat=True))
    if batch.source != Batch.Source.PATIENT:
        inspected = [(image, _worded_for_clinic(one)) for image, one in inspected]
    ended = [_apply_inspection(image, one) for image, one in inspected if image.pk in held]
    same = SamePictures(batch, [image.sha256 for image in ended])
    for image in ended:
        same.judge(image)
    # The rows are there, so nothing is inserted: bulk_update takes seven times as long, to write its query.
    rows = [*ended, *same.changed]
    Image.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=ENDED_COLUMNS)
    unfit = [image for image in ended if image.state == Image.State.REJECTED]
    if batch.state == Batch.State.SUBMITTED:
        fit = [image for image in ended if image.state == Image.State.READY]
        enqueue(batch=batch, images=fit)
    for image in ended:
        if image.tries and image.state == Image.State.READY:
            tell_others(image)
    if unfit and batch.state != Batch.State.OPEN:
        refused = [image for image, was_ready in same.changed.items() if was_ready]
        stopped, failures = take_back(refused) if refused else ([], 0)
        end_images(batch=batch, ended=[*unfit, *stopped], failures=len(unfit) + failures)
    return ended


def _apply_inspection(image: Image, result: InspectionResult) -> Image:
    """Write the result into the image, unsaved."""
    image.sha256, image.width, image.height, image.quality = (
        result.sha256,
        result.width,
        result.height,
        [*result.quality],
    )
    image.state = Image.State.REJECTED if result.code else Image.State.READY
    image.reason, image.advice, image.ended_at = result.code, result.advice, timezone.now()
    image.lease_token = image.lease_until = None
    return image


def _worded_for_clinic(result: InspectionResult) -> InspectionResult:
    """The result with its advice reworded for a clinic, which reads other words than a patient."""
    flags = [{**flag, "advice": FOR_CLINICS.get(flag["code"], flag["advice"])} for flag in result.quality]
    return replace(result, quality=flags, advice=FOR_CLINICS.get(result.code, result.advice))


@transaction.atomic
def override_quality(*, actor: Actor, image: Image) -> None:
    """A provider insists on an image that the quality check refused, or says that it is of its case and not of another.

    Raises Problem `not_overridable`, `duplicate`, and `case_released`: what a patient has read is not changed after.
    Raises `batch_cancelled` where no model would be asked about it.
    """
    batch = locked(image.batch_id)
    if batch.state == Batch.State.CANCELLED:
        raise Problem("batch_cancelled", "This batch was cancelled. Send the image in a new one.")
    codes = [flag["code"] for flag in image.quality]
    refused = Image.objects.filter(pk=image.pk, state=Image.State.REJECTED, width__gt=0, reason__in=codes)
    if not refused.exists():
        told = "Only an image that failed the quality check, or came for two cases, can be used against the advice."
        raise Problem("not_overridable", told)
    if Case.objects.filter(pk=image.case_id, released_at__isnull=False).exists():
        raise Problem("case_released", "The patient has this case's result already. Send the image in a new case.")
    if taken := batch.images.filter(state=Image.State.READY, sha256=image.sha256).select_related("case").first():
        same_case = taken.case_id == image.case_id
        raise Problem("duplicate", SENTENCES["duplicate"] if same_case else IS_USED.format(taken.case.external_id))
    refused.update(
        state=Image.State.READY,
        reason="",
        advice="",
        quality_overridden_by=actor.user,
        ended_at=timezone.now(),
        retried=batch.state != Batch.State.OPEN,
    )
    image.refresh_from_db()
    tell_others(image)
    heed_consensus([image])
    if batch.state != Batch.State.OPEN:
        reopened = Batch.objects.filter(pk=batch.pk)
        reopened.update(
            state=Batch.State.SUBMITTED,
            finished_at=None,
            remaining=batch.remaining + 1,
            failures=max(batch.failures - 1, 0),
        )
        batch.refresh_from_db()
        enqueue(batch=batch, images=[image])
        Case.objects.filter(pk=image.case_id).update(no_result_seen_at=None)
    record(actor=actor, action="image.quality_overridden", object_id=image.id, organisation=image.organisation)


def sweep_images() -> int:
    """Give lost inspections back, give up what was never uploaded; gives how many rows changed.

    An image whose inspection keeps dying is refused as `inspection_failed`: one image must not stop the rest.
    """
    lost = Image.objects.filter(expired(), state=Image.State.STORED)
    changed = give_back(lost)
    for image in lost.filter(attempt__gte=settings.MAX_ATTEMPTS):
        if image.lease_token is not None:
            changed += len(finish_intake(token=image.lease_token, inspected=[(image, UNCHECKED)]))
    changed += _expire_uploads()
    if waiting_images().exists():
        ring_now(Task.INSPECT, again=True)
    return changed


@transaction.atomic
def _expire_uploads() -> int:
    """One that somebody has just locked is left for the next sweep, so that nobody waits for another."""
    late = Image.objects.filter(
        state=Image.State.AWAITING_UPLOAD, created_at__lt=given_up_before(), batch__state=Batch.State.OPEN
    ).select_for_update(skip_locked=True, of=("self",))
    forgotten = Image.objects.filter(pk__in=list(late.values_list("pk", flat=True)))
    return forgotten.update(ended_at=timezone.now(), **NEVER_UPLOADED)
