"""What follows when images end: the case is combined, the batch is counted down, people are told."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from ml.advice import combine
from webapp.cases.models import Batch, Case, Image
from webapp.cases.review import release_automatically
from webapp.inference.answers import set_current_answers
from webapp.inference.models import NEWEST, CaseResult, Result
from webapp.inference.selectors import unfinished_images
from webapp.notify.clinics import notify_clinic
from webapp.notify.services import notify_patient_to_retake
from webapp.registry.models import ModelRelease
from webapp.webhooks.events import batch_completed

HAS_IMAGE_RESULT = Exists(Result.objects.filter(case=OuterRef("pk")))
"""Whether an image of a case has a result."""
LATER_CASE_RESULTS = CaseResult.objects.filter(case=OuterRef("case"), created_at__gte=OuterRef("created_at"))
HAS_UNCOMBINED_RESULT = Exists(Result.objects.filter(~Exists(LATER_CASE_RESULTS), case=OuterRef("pk")))
"""Whether an image of a case has a result that is newer than every result of the whole case (CaseResult)."""


def end_images(*, batch: Batch, ended: Sequence[Image], failures: int = 0) -> None:
    """Count `ended` images of a submitted batch down, `failures` of them without a result.

    Must run in the transaction that ended them, which must have locked `batch` before: so of two workers that end the
    last two images of a case, the second sees both and combines them. Of a cancelled batch nothing is told, but what
    comes late is shown, and counted where it is none, as any other.
    """
    if batch.state == Batch.State.CANCELLED:
        batch.failures += failures
        batch.save(update_fields=["failures"])
        combine_answered(cases=Case.objects.filter(pk__in={image.case_id for image in ended}))
    if batch.state != Batch.State.SUBMITTED:
        return
    batch.remaining -= len(ended)
    batch.failures += failures
    if batch.remaining == 0:
        batch.state = Batch.State.COMPLETED_WITH_FAILURES if batch.failures else Batch.State.COMPLETED
        batch.finished_at = timezone.now()
    batch.save(update_fields=["remaining", "failures", "state", "finished_at"])
    cases = Case.objects.filter(pk__in={image.case_id for image in ended})
    if batch.source == Batch.Source.PATIENT:
        _combine(cases.filter(Q(HAS_UNCOMBINED_RESULT) | ~Q(HAS_IMAGE_RESULT)))
    else:  # nothing follows from thousands of missing files but their count
        combine_answered(cases=cases)
    if batch.remaining == 0:
        notify_clinic(batch=batch)
        batch_completed(batch=batch)


def combine_answered(*, cases: QuerySet[Case]) -> None:
    """Write the result of each of these cases that awaits no answer and has one that none of its results tells yet, in
    the caller's transaction. What somebody may be reading is not written anew.
    """
    _combine(cases.filter(HAS_UNCOMBINED_RESULT))


def _combine(cases: QuerySet[Case]) -> None:
    """Write the result of each case whose images have all ended, from those of them that have one; of none that is
    erased.

    The number of queries is the same for any number of cases, but for those that tell or release something.
    """
    cases = cases.filter(erased_at=None).select_related("organisation", "batch", "patient", "answer")
    unfinished = unfinished_images().filter(case__in=list(cases)).values_list("case_id", flat=True)
    ended = {case.pk: case for case in cases if case.pk not in set(unfinished)}
    newest = Result.objects.filter(case__in=ended).order_by("image_id", *NEWEST).distinct("image_id").defer("heatmap")
    results = defaultdict[uuid.UUID, list[Result]](list)
    for result in newest:
        results[result.case_id].append(result)
    releases = ModelRelease.objects.in_bulk({result.release_id for result in newest})
    combined: list[CaseResult] = []
    for case in ended.values():
        if case.pk in results:
            combined += _combined(case, results[case.pk], releases)
        elif case.images.exclude(state=Image.State.PURGED).exists():
            notify_patient_to_retake(case=case)
    if not combined:
        return
    kept = ["case", "release"]
    changed = [field.name for field in CaseResult._meta.concrete_fields if field.name not in ("id", *kept)]
    CaseResult.objects.bulk_create(combined, update_conflicts=True, unique_fields=kept, update_fields=changed)
    set_current_answers(results=combined)
    for row in combined:
        release_automatically(case=ended[row.case_id])


def _combined(case: Case, results: Sequence[Result], releases: Mapping[int, ModelRelease]) -> Iterator[CaseResult]:
    """The answer of a case, from the newest of each of its images; none where the patient has the same row already."""
    # No image is left out because another release was promoted between it and the next: it may be the one that matters.
    release = releases[max(results, key=lambda result: (result.created_at, result.pk)).release_id]
    if case.released_at is not None and case.answer is not None and case.answer.release_id == release.pk:
        return
    answer = combine(
        [result.probabilities for result in results],
        [result.uncertainty for result in results],
        release.manifest["thresholds"],
    )
    yield CaseResult(
        case=case,
        release=release,
        images=len(results),
        probabilities=answer.probabilities,
        top_class=answer.top_class,
        malignant=answer.malignant,
        uncertainty=answer.uncertainty,
        advice=answer.advice,
    )
