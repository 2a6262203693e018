"""The life of a job: queued, run under a lease, finished once."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from webapp.cases.models import NOT_A_LESION, Batch, Image
from webapp.inference.completion import end_images
from webapp.inference.models import Job, Result, Worker
from webapp.leases import UNLEASED, expired
from webapp.queue import Task, ring, ring_now
from webapp.registry.models import ModelRelease

FORGOTTEN_AFTER = timedelta(hours=1)
RETAKE = (  # read by patients and by providers
    "We could not see a skin mark in the photo clearly enough to answer. "
    "Please take another: close, sharp, in good light, with the spot in the middle."
)


@dataclass(frozen=True)
class Outcome:
    """What the model said of one image, ready to be written."""

    probabilities: Mapping[str, float]
    malignant: float
    uncertainty: float
    advice: str
    preprocessing: str
    input_sha256: str


def enqueue(*, batch: Batch, images: Sequence[Image]) -> None:
    """Queue images of a submitted batch for the model, in the caller's transaction."""
    Job.objects.bulk_create(
        [
            Job(image=image, batch=batch, organisation_id=batch.organisation_id, priority=batch.priority)
            for image in images
        ],
        batch_size=1000,
    )
    if images:
        ring(Task.DRAIN)


@transaction.atomic
def succeed(*, job: Job, token: uuid.UUID, release: ModelRelease, outcome: Outcome) -> bool:
    """Write the result of a leased job. False if the lease was lost: nothing is written then."""
    batch = Batch.objects.select_for_update().get(pk=job.batch_id)
    if not _finish(job, token, state=Job.State.SUCCEEDED):
        return False
    probabilities = dict(outcome.probabilities)
    Result.objects.create(
        image_id=job.image_id,
        case_id=job.image.case_id,
        job=job,
        release=release,
        probabilities=probabilities,
        top_class=max(probabilities, key=probabilities.__getitem__),
        malignant=outcome.malignant,
        uncertainty=outcome.uncertainty,
        advice=outcome.advice,
        preprocessing=outcome.preprocessing,
        input_sha256=outcome.input_sha256,
    )
    end_images(batch=batch, ended=[job.image])
    return True


@transaction.atomic
def fail(*, job: Job, token: uuid.UUID, reason: str) -> bool:
    """End a leased job without a result. False if the lease was lost."""
    batch = Batch.objects.select_for_update().get(pk=job.batch_id)
    if not _finish(job, token, state=Job.State.FAILED, reason=reason):
        return False
    end_images(batch=batch, ended=[job.image], failures=1)
    return True


@transaction.atomic
def turn_away(*, job: Job, token: uuid.UUID) -> bool:
    """End a leased job whose picture the model does not recognise. False if the lease was lost.

    The image is rejected as by the quality check, so that people are told in the same way and a provider may insist.
    """
    batch = Batch.objects.select_for_update().get(pk=job.batch_id)
    if not _finish(job, token, state=Job.State.FAILED, reason=NOT_A_LESION):
        return False
    Image.objects.filter(pk=job.image_id, state=Image.State.READY).update(
        state=Image.State.REJECTED,
        reason=NOT_A_LESION,
        advice=RETAKE,
        quality=[*job.image.quality, {"code": NOT_A_LESION, "advice": RETAKE}],
    )
    end_images(batch=batch, ended=[job.image], failures=1)
    return True


def _finish(job: Job, token: uuid.UUID, *, state: str, reason: str = "") -> bool:
    # No row: the lease ran out and another worker has the job now, or has finished it.
    running = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, lease_token=token)
    return bool(running.update(state=state, reason=reason, finished_at=timezone.now(), **UNLEASED))


def cancel_jobs(*, batch: Batch) -> None:
    """Drop the jobs of a batch that nobody works on yet."""
    Job.objects.filter(batch=batch, state=Job.State.QUEUED).update(
        state=Job.State.CANCELLED, finished_at=timezone.now()
    )


def sweep_jobs() -> int:
    """Return jobs whose lease ran out to the queue, or fail them when their attempts are spent; gives how many."""
    lost = Job.objects.filter(expired(), state=Job.State.RUNNING)
    swept = lost.filter(attempt__lt=settings.MAX_ATTEMPTS).update(state=Job.State.QUEUED, **UNLEASED)
    for job in lost.filter(attempt__gte=settings.MAX_ATTEMPTS).select_related("image"):
        swept += job.lease_token is not None and fail(job=job, token=job.lease_token, reason="attempts_spent")
    if Job.objects.filter(state=Job.State.QUEUED).exists():
        ring_now(Task.DRAIN, again=True)
    return swept


def heartbeat(*, worker: str, release: ModelRelease) -> None:
    """An inference worker is alive with this release in memory. Those not heard of for long are forgotten."""
    now = timezone.now()
    Worker.objects.update_or_create(name=worker, defaults={"release": release, "seen_at": now})
    Worker.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def say_goodbye(*, worker: str) -> None:
    """An inference worker stops in good order."""
    Worker.objects.filter(name=worker).delete()
