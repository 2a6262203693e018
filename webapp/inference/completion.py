"""What follows when images end: the case is combined, the batch is counted down, people are told."""

from collections.abc import Sequence

from django.utils import timezone

from ml.advice import combine
from webapp.cases.models import Batch, Case, Image
from webapp.cases.review import release_automatically
from webapp.inference.answers import hold
from webapp.inference.models import NEWEST, CaseResult, Result
from webapp.inference.selectors import is_unfinished
from webapp.notify.services import tell_patient_to_retake, tell_provider
from webapp.webhooks.events import batch_completed


def end_images(*, batch: Batch, ended: Sequence[Image], failures: int = 0) -> None:
    """Count `ended` images of a submitted batch down, `failures` of them without a result.

    Must run in the transaction that ended them. It locks the batch, so of two workers that end the last two images
    of a case, the second sees both and combines them. Late images of a cancelled batch change nothing.
    """
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if batch.state != Batch.State.SUBMITTED:
        return
    batch.remaining -= len(ended)
    batch.failures += failures
    if batch.remaining == 0:
        batch.state = Batch.State.COMPLETED_WITH_FAILURES if batch.failures else Batch.State.COMPLETED
        batch.finished_at = timezone.now()
    batch.save(update_fields=["remaining", "failures", "state", "finished_at"])
    cases = Case.objects.filter(images__in=ended).select_related("organisation", "batch", "patient")
    if batch.source != Batch.Source.PATIENT:  # nothing follows from thousands of missing files but their count
        cases = cases.filter(image_results__isnull=False)
    for case in cases.distinct():
        _combine(case)
    if batch.remaining == 0:
        tell_provider(batch=batch)
        batch_completed(batch=batch)


def _combine(case: Case) -> None:
    """Write the case's result once all its images have ended, from those that have a result."""
    if is_unfinished(case):
        return
    newest = Result.objects.filter(case=case).order_by("image_id", *NEWEST).distinct("image_id")
    results = list(newest.select_related("release"))
    if not results:
        if not case.images.exclude(state=Image.State.REJECTED).exists():
            tell_patient_to_retake(case=case)
        return
    # No image is left out because another release was promoted between it and the next: it may be the one that matters.
    release = max(results, key=lambda result: (result.created_at, result.pk)).release
    if case.released_at is not None and case.answer is not None and case.answer.release_id == release.pk:
        return  # the patient has this row
    answer = combine(
        [result.probabilities for result in results],
        [result.uncertainty for result in results],
        release.manifest["thresholds"],
    )
    combined, _ = CaseResult.objects.update_or_create(
        case=case,
        release=release,
        defaults={
            "batch_id": case.batch_id,
            "created_at": timezone.now(),
            "images": len(results),
            "probabilities": answer.probabilities,
            "top_class": answer.top_class,
            "malignant": answer.malignant,
            "uncertainty": answer.uncertainty,
            "advice": answer.advice,
        },
    )
    hold(result=combined)
    release_automatically(case=case)
