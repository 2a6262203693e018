"""Images of a batch are tried once more: those that failed, or all of them for a newer release."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from webapp.audit.services import Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.rechecks import check_again, failed_checks, stop_checks
from webapp.errors import Problem
from webapp.inference.completion import end_images
from webapp.inference.models import NEWEST, CaseResult, Job, Result
from webapp.inference.services import enqueue
from webapp.pages.words import counted
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release


@transaction.atomic
def rerun_failed(*, actor: Actor, batch: Batch) -> Batch:
    """Queue each image whose last try failed for a reason that may pass, for the model, or for its check where that
    failed. Its attempts begin anew, as `check_again` says of a check.

    Raises Problem `nothing_failed` where there is none: an image without a lesion would fail again, and what the
    patient of a case has read is not changed. Raises `batch_open` and `batch_cancelled` too.
    """
    batch = _lock_sent(batch)
    images, unchecked = list(failed_images(batch)), list(failed_checks(batch))
    if not (images or unchecked):
        raise Problem("nothing_failed", "No image of this batch failed for a reason that may pass.")
    enqueue(batch=batch, images=images)
    check_again(batch.images.filter(pk__in=[image.pk for image in unchecked]))
    return _await(actor, batch, [*images, *unchecked], "batch.rerun")


def failed_count(batch: Batch) -> int:
    """How many images `rerun_failed` would queue."""
    if batch.state in (Batch.State.OPEN, Batch.State.CANCELLED):
        return 0
    failed = (images.order_by().values("pk") for images in (failed_images(batch), failed_checks(batch)))
    return next(failed).union(*failed, all=True).count()


@transaction.atomic
def rescore(*, actor: Actor, batch: Batch) -> Batch:
    """Queue each image whose newest answer is not the active release's. Both answers are kept.

    So a release that is active again after a rollback can say again what holds. A case that is released keeps the
    answer that its patient was given; one that the active release has not given yet stands beside it for the clinic.
    Raises Problem `no_active_release`, `already_scored`, `batch_open` and `batch_cancelled`.
    """
    batch = _lock_sent(batch)
    release = active_release()
    if release is None:
        raise Problem("no_active_release", "No release is active, so nothing can answer.")
    answers = Result.objects.filter(image=OuterRef("pk"))
    waiting = Job.objects.filter(image=OuterRef("pk"), state__in=Job.LIVE)
    answered = batch.images.filter(Exists(answers), ~Exists(waiting), state=Image.State.READY)
    newest = Subquery(answers.order_by(*NEWEST).values("release")[:1])
    other = answered.annotate(newest=newest).exclude(newest=release.pk)
    images = list(other.filter(Q(case__released_at=None) | ~Exists(answers.filter(release=release))))
    if not images:
        raise Problem("already_scored", f"Every image with an answer has, or awaits, one by {release.name}.")
    enqueue(batch=batch, images=images)
    return _await(actor, batch, images, "batch.rescored")


def stop_repeats(batch: Batch) -> bool:
    """Drop what waits for the model where a submitted batch, which is locked, waits for nothing but images that ended
    before; False where it waits for more.

    It is complete as soon as what runs has ended. An image that has an answer keeps it; one that has none failed again.
    """
    of_it = Job.objects.filter(image=OuterRef("pk"))
    tried = Exists(of_it.filter(state__in=[Job.State.SUCCEEDED, Job.State.FAILED]))
    first = Q(state__in=Image.UNENDED) | Q(Exists(of_it.filter(state__in=Job.LIVE)), ~tried)
    if batch.state != Batch.State.SUBMITTED or batch.images.filter(first, retried=False).exists():
        return False
    waiting = batch.jobs.filter(state=Job.State.QUEUED).select_related("image").order_by("pk")
    jobs = list(waiting.select_for_update(of=("self",)))
    answered = set(Result.objects.filter(image__in=[job.image_id for job in jobs]).values_list("image_id", flat=True))
    rows = batch.jobs.filter(pk__in=[job.pk for job in jobs])
    now = timezone.now()
    rows.filter(image__in=answered).update(state=Job.State.CANCELLED, finished_at=now)
    rows.exclude(image__in=answered).update(state=Job.State.FAILED, reason="cancelled", finished_at=now)
    unanswered = sum(job.image_id not in answered for job in jobs)
    unchecked = stop_checks(batch)
    ended = [*(job.image for job in jobs), *unchecked]
    end_images(batch=batch, ended=ended, failures=unanswered + len(unchecked))
    return True


def failed_images(batch: Batch) -> QuerySet[Image]:
    """The images that failed at the model for a reason that may pass."""
    later = Job.objects.filter(image=OuterRef("image"), pk__gt=OuterRef("pk"))
    failed = batch.jobs.filter(~Exists(later), state=Job.State.FAILED).exclude(reason=NOT_A_LESION)
    return Image.objects.filter(pk__in=failed.values("image"), state=Image.State.READY, case__released_at=None)


def newer_release(batch: Batch) -> ModelRelease | None:
    """The active release, where a case of the batch has the answer of another one, and an answered photo that is still
    there. A case that is released counts only where the active release has given it no answer yet.

    It asks cases, where `rescore` asks each image: of a case of which one photo was answered by the active release and
    another failed since, the latter is offered as failed alone.
    """
    release = active_release()
    if release is None:
        return None
    by_it = CaseResult.objects.filter(case=OuterRef("pk"), release=release)
    there = Result.objects.filter(case=OuterRef("pk"), image__state=Image.State.READY)
    other = batch.cases.exclude(advice="").exclude(answer__release=release).filter(Exists(there))
    return release if other.filter(Q(released_at=None) | ~Exists(by_it)).exists() else None


def _lock_sent(batch: Batch) -> Batch:
    batch = locked(batch.pk)
    if batch.state == Batch.State.OPEN:
        raise Problem("batch_open", "This batch was not submitted yet. Submit it first.")
    if batch.state == Batch.State.CANCELLED:
        raise Problem("batch_cancelled", "This batch was cancelled. Create a new one.")
    return batch


def _await(actor: Actor, batch: Batch, images: Sequence[Image], action: str) -> Batch:
    """The images are awaited again; one that has an older answer was no failure, so its end counts none off."""
    Case.objects.filter(images__in=images, no_result_seen_at__isnull=False).update(no_result_seen_at=None)
    answered = Result.objects.filter(image__in=images).values("image").distinct().count()
    batch.state, batch.finished_at = Batch.State.SUBMITTED, None
    batch.remaining += len(images)
    batch.failures -= len(images) - answered
    batch.save(update_fields=["state", "finished_at", "remaining", "failures"])
    record(
        actor=actor,
        action=action,
        object_id=batch.pk,
        organisation=batch.organisation,
        detail=counted(len(images), "image"),
    )
    return batch
