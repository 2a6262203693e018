"""The life of a job: queued, run under a lease, finished once."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from webapp.cases.locks import all_locked
from webapp.cases.models import NOT_A_LESION, Batch, Image
from webapp.cases.refused import FOR_CLINICS
from webapp.inference.answers import doubt_of
from webapp.inference.completion import end_images
from webapp.inference.models import NEWEST, Job, Result, Worker
from webapp.leases import UNLEASED, excuse, expired, give_back
from webapp.queue import Task, ring, ring_now
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release

FORGOTTEN_AFTER = timedelta(hours=1)
RETAKE = (  # of a patient's photo
    "We could not see a skin mark in the photo clearly enough to answer. "
    "Please take another: close, sharp, in good light, with the spot in the middle."
)


@dataclass(frozen=True)
class Outcome:
    """What a release said of one image, ready to be written."""

    release: ModelRelease
    probabilities: Mapping[str, float]
    malignant: float
    uncertainty: float | None
    advice: str
    preprocessing: str
    input_sha256: str
    heatmap: bytes  # as `ml.imaging.overlay.pack` gives it


End = Outcome | str
"""How a job ends: with what the model said, or with the stable code of why it said nothing."""


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
def finish(*, token: uuid.UUID, ends: Sequence[tuple[Job, End]]) -> set[int]:
    """End jobs that are leased under `token`, in a fixed number of queries.

    Gives the ids of the jobs whose lease was still held: nothing is written for the others. An image that ends as
    NOT_A_LESION is rejected as by the quality check, so that people are told in the same way and a provider may insist.
    What a worker answered that has not noticed a promotion goes back to the queue where it says nothing new. What the
    active release had answered before, as after a rollback, is the newest answer again.
    """
    batches = all_locked({job.batch_id for job, _ in ends})
    held = set(_running(ends, token).select_for_update().order_by("pk").values_list("pk", flat=True))
    known = set(Result.objects.filter(image__in=[job.image_id for job, _ in ends]).values_list("image", "release"))
    answered = {job: end for job, end in ends if job.pk in held and isinstance(end, Outcome)}
    repeated = {job: end.release for job, end in answered.items() if (job.image_id, end.release.pk) in known}
    for job in _requeue_outdated(repeated, token):
        del answered[job]
    failed = {job: end for job, end in ends if job.pk in held and isinstance(end, str)}
    _end(answered, state=Job.State.SUCCEEDED)
    for reason in set(failed.values()):
        _end([job for job, code in failed.items() if code == reason], state=Job.State.FAILED, reason=reason)
    # An image that was answered before keeps that answer, whatever becomes of it now.
    before = {image for image, _ in known}
    _write({job: outcome for job, outcome in answered.items() if job not in repeated})
    _redate_results({job: release for job, release in repeated.items() if job in answered})
    sources = {batch.pk: batch.source for batch in batches}
    unanswered = {job for job in failed if job.image_id not in before}
    for job in unanswered:
        if failed[job] == NOT_A_LESION:
            _reject_not_a_lesion(job.image, sources[job.batch_id])
    for batch in batches:
        if ended := [job for job in (*answered, *failed) if job.batch_id == batch.pk]:
            images = [job.image for job in ended]
            end_images(batch=batch, ended=images, failures=len(unanswered.intersection(ended)))
    return held


def _running(ends: Sequence[tuple[Job, End]], token: uuid.UUID) -> QuerySet[Job]:
    # Without those whose lease ran out: another worker has the job now, or has finished it.
    return Job.objects.filter(pk__in=[job.pk for job, _ in ends], state=Job.State.RUNNING, lease_token=token)


def _requeue_outdated(repeated: Mapping[Job, ModelRelease], token: uuid.UUID) -> list[Job]:
    """Queue again, and give, what a release answered that is not active any more, where it had said the same before:
    the active one is waited for.
    """
    active = active_release() if repeated else None
    older = [job for job, release in repeated.items() if active is not None and release.pk != active.pk]
    if older:
        rows = Job.objects.filter(pk__in=[job.pk for job in older])
        excuse(rows, token, state=Job.State.QUEUED, **UNLEASED)
        ring(Task.DRAIN)
    return older


def _redate_results(repeated: Mapping[Job, ModelRelease]) -> None:
    """Date the earlier results of a release for these images anew, so that each is the newest of its image. Left
    alone: what is the newest already, and cases that are released.
    """
    newest = Result.objects.filter(image=OuterRef("image")).order_by(*NEWEST).values("pk")[:1]
    for release in set(repeated.values()):
        images = [job.image_id for job, of in repeated.items() if of == release]
        results = Result.objects.filter(image__in=images, release=release, case__released_at=None)
        results.exclude(pk=Subquery(newest)).update(created_at=Now())


def _end(jobs: Iterable[Job], *, state: str, reason: str = "") -> None:
    if ended := [job.pk for job in jobs]:
        rows = Job.objects.filter(pk__in=ended)
        rows.update(state=state, reason=reason, finished_at=timezone.now(), **UNLEASED)


def _write(answered: Mapping[Job, Outcome]) -> None:
    images = Image.objects.filter(pk__in=[job.image_id for job in answered])
    settled = set(images.exclude(consensus=None).values_list("pk", flat=True))
    Result.objects.bulk_create(_result(job, outcome, job.image_id in settled) for job, outcome in answered.items())


def _result(job: Job, outcome: Outcome, settled: bool) -> Result:
    probabilities = dict(outcome.probabilities)
    doubt = doubt_of(outcome.malignant, outcome.uncertainty, outcome.release.manifest["thresholds"])
    return Result(
        image_id=job.image_id,
        organisation_id=job.organisation_id,
        case_id=job.image.case_id,
        job=job,
        release=outcome.release,
        probabilities=probabilities,
        top_class=max(probabilities, key=probabilities.__getitem__),
        malignant=outcome.malignant,
        uncertainty=outcome.uncertainty,
        advice=outcome.advice,
        preprocessing=outcome.preprocessing,
        input_sha256=outcome.input_sha256,
        heatmap=outcome.heatmap,
        doubt=None if settled else doubt,
    )


def _reject_not_a_lesion(image: Image, source: str) -> None:
    advice = RETAKE if source == Batch.Source.PATIENT else FOR_CLINICS[NOT_A_LESION]
    Image.objects.filter(pk=image.pk, state=Image.State.READY).update(
        state=Image.State.REJECTED,
        reason=NOT_A_LESION,
        advice=advice,
        quality=[*image.quality, {"code": NOT_A_LESION, "advice": advice}],
    )


def cancel_jobs(*, batch: Batch) -> None:
    """Drop the jobs of a batch that nobody works on yet."""
    Job.objects.filter(batch=batch, state=Job.State.QUEUED).update(
        state=Job.State.CANCELLED, finished_at=timezone.now()
    )


def sweep_jobs() -> int:
    """Return jobs whose lease ran out to the queue, or fail them when their attempts are spent; gives how many."""
    lost = Job.objects.filter(expired(), state=Job.State.RUNNING)
    swept = give_back(lost, state=Job.State.QUEUED)
    for job in lost.filter(attempt__gte=settings.MAX_ATTEMPTS).select_related("image"):
        if job.lease_token is not None:
            swept += len(finish(token=job.lease_token, ends=[(job, "attempts_spent")]))
    if Job.objects.filter(state=Job.State.QUEUED).exists():
        ring_now(Task.DRAIN, again=True)
    return swept


def heartbeat(*, worker: str, release: ModelRelease) -> None:
    """An inference worker is alive with this release in memory. Those not heard of for long are forgotten."""
    # By the database's clock, as leases: a machine whose own is minutes off is no dead one.
    Worker.objects.update_or_create(name=worker, defaults={"release": release, "seen_at": Now()})
    Worker.objects.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()


def say_goodbye(*, worker: str) -> None:
    """An inference worker stops in good order."""
    Worker.objects.filter(name=worker).delete()
