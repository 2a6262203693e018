"""How far a batch is, what was answered, and who is there to answer.

An image or a case may be answered by several releases: the answer that was written last holds.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.utils import timezone

from webapp.cases.models import Batch, Case, Image
from webapp.inference.models import ADVICE_CHOICES, NEWEST, CaseResult, Job, Result, Worker

ALIVE = timedelta(minutes=2)


@dataclass(frozen=True)
class Progress:
    """How far a batch is. The counts name every state and advice, so a missing one is never a surprise."""

    images: dict[str, int]
    jobs: dict[str, int]
    advice: dict[str, int]
    total: int
    remaining: int
    percent: int
    seconds_left: int | None

    @property
    def done(self) -> int:
        return self.total - self.remaining


def progress(batch: Batch) -> Progress:
    """Images and jobs by state, cases by advice, and an estimate of the time left; three queries."""
    images = dict.fromkeys(Image.State.values, 0) | _counts(batch.images.all(), "state")
    jobs = dict.fromkeys(Job.State.values, 0) | _counts(batch.jobs.all(), "state")
    advice = {advice: 0 for advice, _ in ADVICE_CHOICES} | _counts(current_results(batch), "advice")
    total = sum(images.values())
    remaining = total if batch.state == Batch.State.OPEN else batch.remaining
    percent = 100 * (total - remaining) // total if total else 0
    return Progress(images, jobs, advice, total, remaining, percent, _seconds_left(batch, total - remaining))


def current_results(batch: Batch) -> QuerySet[CaseResult]:
    """The current answer of each case of a batch."""
    newest = CaseResult.objects.filter(batch=batch).order_by("case_id", *NEWEST).distinct("case_id")
    return CaseResult.objects.filter(pk__in=newest.values("pk"))


def with_answers(cases: QuerySet[Case], *, images: bool = True, image_results: bool = True) -> QuerySet[Case]:
    """The cases with patient, images, results of each, and results of the whole; those that hold come first.

    A constant number of queries for any number of cases. `case.results.all()[0]` is the current answer, if any.
    """
    # A manifest is long and the same for thousands of results: it is fetched by those who need it.
    results = Result.objects.order_by(*NEWEST).select_related("release").defer("release__manifest")
    combined = CaseResult.objects.order_by(*NEWEST).select_related("release").defer("release__manifest")
    cases = cases.select_related("patient").prefetch_related(Prefetch("results", combined))
    if images:
        cases = cases.prefetch_related(Prefetch("images", Image.objects.order_by("created_at", "id")))
    if images and image_results:
        cases = cases.prefetch_related(Prefetch("images__results", results))
    return cases


def is_unfinished(case: Case) -> bool:
    """Whether an image of the case is still awaited, checked, or at the model."""
    return case.images.filter(
        Q(state__in=[Image.State.AWAITING_UPLOAD, Image.State.STORED])
        | Q(jobs__state__in=[Job.State.QUEUED, Job.State.RUNNING])
    ).exists()


def workers_alive() -> QuerySet[Worker]:
    """The inference workers that were heard of in the last two minutes, with the release that each has in memory."""
    heard = Worker.objects.filter(seen_at__gt=timezone.now() - ALIVE)
    return heard.select_related("release").defer("release__manifest").order_by("name")


def filter_by_answer(cases: QuerySet[Case], **wanted: str) -> QuerySet[Case]:
    """The cases whose current answer has these values, such as `advice="urgent_referral"`."""
    newest = CaseResult.objects.filter(case=OuterRef("pk")).order_by(*NEWEST).values("pk")[:1]
    return cases.annotate(current=Subquery(newest)).filter(
        Q(results__pk=F("current")), **{f"results__{name}": value for name, value in wanted.items()}
    )


def _counts(rows: QuerySet[Image] | QuerySet[Job] | QuerySet[CaseResult], field: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(field).annotate(Count("pk")))


def _seconds_left(batch: Batch, done: int) -> int | None:
    """By the pace so far; None before there is one."""
    if batch.state != Batch.State.SUBMITTED or batch.submitted_at is None or done == 0:
        return None
    elapsed = (timezone.now() - batch.submitted_at).total_seconds()
    return math.ceil(elapsed / done * batch.remaining)
