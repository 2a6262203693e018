"""How far a batch is, what was answered, and who is there to answer.

An image or a case may be answered by several releases: `Case.answer` is the one that holds.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from webapp.cases.models import URGENCY, Batch, Case, Image
from webapp.inference.models import NEWEST, CaseResult, Job, Result, Worker

ALIVE = timedelta(minutes=2)
PACE = timedelta(minutes=1)  # what is called the pace of now


@dataclass(frozen=True)
class Progress:
    """How far a batch is. The counts name every state and advice, so a missing one is never a surprise."""

    images: dict[str, int]
    jobs: dict[str, int]
    advice: dict[str, int]
    total: int
    remaining: int
    cancelled: int
    percent: int
    per_minute: int | None
    seconds_left: int | None

    @property
    def done(self) -> int:
        return self.total - self.remaining - self.cancelled

    @property
    def at_model(self) -> int:
        """Jobs that still come to an end, of a cancelled batch too."""
        return sum(self.jobs[state] for state in Job.LIVE)


def progress(batch: Batch) -> Progress:
    """Images and jobs by state, cases by advice, and the pace of the last minute; four queries that read indexes.

    `cancelled` are the images that a cancelled batch left without an end of their own: neither done nor awaited.
    """
    images = dict.fromkeys(Image.State.values, 0) | _counts(batch.images.all(), "state")
    jobs = dict.fromkeys(Job.State.values, 0) | _counts(batch.jobs.all(), "state")
    by_urgency = _counts(batch.cases.all(), "urgency")
    advice = {advice: by_urgency.get(rank, 0) for advice, rank in URGENCY.items()}
    total = sum(images.values())
    remaining = total if batch.state == Batch.State.OPEN else batch.remaining
    cancelled = dropped_images(batch).count() if batch.state == Batch.State.CANCELLED else 0
    percent = 100 * (total - remaining - cancelled) // total if total else 0
    pace = _per_minute(batch)
    seconds_left = math.ceil(60 * remaining / pace) if pace else None
    per_minute = math.ceil(pace) if pace else None
    return Progress(images, jobs, advice, total, remaining, cancelled, percent, per_minute, seconds_left)


def with_answers(cases: QuerySet[Case], *, images: bool = True) -> QuerySet[Case]:
    """The cases with patient and `answer`; with `images` also their images and every result, the newest first.

    A constant number of queries for any number of cases.
    """
    # A manifest is long and the same for thousands of results: it is fetched by those who need it.
    results = Result.objects.order_by(*NEWEST).select_related("release").defer("release__manifest", "heatmap")
    combined = CaseResult.objects.order_by(*NEWEST).select_related("release").defer("release__manifest")
    cases = cases.select_related("patient", "answer__release").defer("answer__release__manifest")
    if images:
        in_order = Prefetch("images", Image.objects.order_by("created_at", "id"))
        cases = cases.prefetch_related(in_order, Prefetch("images__results", results), Prefetch("results", combined))
    return cases


def unfinished_images() -> QuerySet[Image]:
    """The images that are still awaited, checked, or at the model; none follows the check in a cancelled batch."""
    arriving = Q(state__in=Image.UNENDED) & ~Q(batch__state=Batch.State.CANCELLED)
    return Image.objects.filter(arriving | Q(jobs__state__in=Job.LIVE))


def image_answer(image: Image) -> Result | None:
    """This image's part in the answer that its case holds, from what `with_answers` fetched: not an answer of a newer
    release, where the patient was given an older one.
    """
    held = image.case.answer
    return next((row for row in image.results.all() if held is None or row.created_at <= held.created_at), None)


def answer_of(image: Image) -> Result | None:
    """The same of an image alone, with its heatmap."""
    answers = Result.objects.filter(image=image).order_by(*NEWEST)
    held = image.case.answer
    return (answers.filter(created_at__lte=held.created_at) if held else answers).first()


def is_unfinished(case: Case) -> bool:
    """Whether an image of the case may still change its answer."""
    return unfinished_images().filter(case=case).exists()


def workers_alive() -> QuerySet[Worker]:
    """The inference workers that were heard of in the last two minutes, with the release that each has in memory."""
    heard = Worker.objects.filter(seen_at__gt=Now() - ALIVE)
    return heard.select_related("release").defer("release__manifest").order_by("name")


def dropped_images(batch: Batch) -> QuerySet[Image]:
    """The images of a cancelled batch that were not answered, and neither refused nor missed nor failed before."""
    of_it = Job.objects.filter(image=OuterRef("pk"))
    unended = ~Exists(of_it) | Exists(of_it.filter(state__in=[*Job.LIVE, Job.State.CANCELLED]))
    waiting = Q(state__in=[Image.State.STORED, Image.State.READY]) | Q(state=Image.State.EXPIRED, reason="cancelled")
    return batch.images.filter(waiting, unended, ~Exists(Result.objects.filter(image=OuterRef("pk"))))


def _counts(rows: QuerySet[Image] | QuerySet[Job] | QuerySet[Case], field: str) -> dict[Any, int]:
    return dict(rows.order_by().values_list(field).annotate(Count("pk")))


def _per_minute(batch: Batch) -> float | None:
    """Images that ended at the model a minute, answered or not, by the last one; None where none did, or nothing is
    awaited. Those of a second run that was stopped never were there.
    """
    if batch.state != Batch.State.SUBMITTED or batch.submitted_at is None:
        return None
    now = timezone.now()
    since = max(now - PACE, batch.submitted_at)
    ended = batch.jobs.filter(state__in=[Job.State.SUCCEEDED, Job.State.FAILED], finished_at__gt=since)
    return 60 * ended.exclude(reason="cancelled").count() / max((now - since).total_seconds(), 1) or None
