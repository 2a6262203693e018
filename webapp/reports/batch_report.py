"""A batch as a report: how it went, and every case, the most urgent first."""

from collections import Counter
from collections.abc import Iterator

from django.db.models import Count, Exists, OuterRef, Prefetch, Q
from django.utils import timezone

from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.selectors import MOST_URGENT_FIRST, for_stage
from webapp.inference.models import Job
from webapp.pages.words import ADVICE, NOTICE, STATES, class_name, percent, spread
from webapp.reports import wording
from webapp.reports.typesetting import Document

COLUMNS = ("Case", "Patient", "Age, sex, body site", "Likeliest class", "P(malignant)", "Review")
CHUNK = 2000
# Their codes alone, on paper, read as a finding: that there is nothing to fear.
WORDS = {NOT_A_LESION: "The model saw no lesion", "no_lesion": "The quality check saw no lesion"}
UNUSED = (Image.State.REJECTED, Image.State.EXPIRED, Image.State.AWAITING_UPLOAD)


def batch_report(batch: Batch) -> Document:
    """The report of a batch of any size, in a constant number of queries."""
    groups: dict[str, list[list[str]]] = {advice: [] for advice in (*ADVICE, "")}
    reviewed: Counter[str] = Counter()
    # Asked of no others: why there is no result, and what makes one doubtful.
    told = Q(case__answer=None) | Q(quality__contains=[{"code": NOT_A_LESION}])
    images = Prefetch("images", Image.objects.filter(told))
    cases = batch.cases.order_by(*MOST_URGENT_FIRST).select_related("patient")
    cases = cases.prefetch_related(images, *for_stage(batch))
    for case in cases.iterator(chunk_size=CHUNK):
        groups[case.advice].append(_row(case))
        if case.advice:
            reviewed[_review(case)] += 1
    pictures = dict(batch.images.order_by().values_list("state").annotate(Count("pk")))
    title = batch.name or f"Batch of {wording.when(batch.created_at)}"
    summaries = {
        "Cases by advice": {_advice(advice): len(rows) for advice, rows in groups.items()},
        "Cases by review": reviewed,
        "Pictures": {STATES[state].word: count for state, count in pictures.items()},
        "Pictures without a result": dict(_failures(batch)),
    }
    data = {
        "title": title,
        "running": f"{title}, {batch.organisation.name}",
        "clinic": batch.organisation.name,
        "notice": NOTICE,
        "made": f"Printed {wording.when(timezone.now())}.",
        "facts": list(_facts(batch)),
        "columns": COLUMNS,
        "summaries": [
            {"title": name, "rows": [(word, f"{count:,}") for word, count in counts.items()]}
            for name, counts in summaries.items()
            if counts
        ],
        "groups": [
            {"title": f"{_advice(advice)} ({len(rows):,})", "rows": rows} for advice, rows in groups.items() if rows
        ],
    }
    return Document("batch", data)


def _advice(advice: str) -> str:
    return ADVICE[advice].word if advice else "No result"


def _facts(batch: Batch) -> Iterator[tuple[str, str]]:
    yield "State", STATES[batch.state].word
    yield "Made", wording.when(batch.created_at)
    if batch.submitted_at:
        yield "Submitted", wording.when(batch.submitted_at)
    if batch.finished_at:
        yield "Ended", wording.when(batch.finished_at)
    yield "Reference", str(batch.pk)


def _row(case: Case) -> list[str]:
    person = [
        "" if case.age is None else str(case.age),
        "" if case.sex == Case.Sex.UNKNOWN else case.get_sex_display().lower(),
        case.anatom_site,
    ]
    return [
        case.external_id,
        case.patient.external_id if case.patient.is_named else "",
        ", ".join(part for part in person if part),
        f"{class_name(case.top_class)}{_doubt(case)}" if case.advice else _why(case),
        f"{percent(case.risk)}{spread(case.risk, case.uncertainty)}" if case.advice else "",
        _review(case),
    ]


def _doubt(case: Case) -> str:
    return " (no lesion seen in a picture)" if any(map(wording.is_insisted_on, case.images.all())) else ""


def _why(case: Case) -> str:
    """Why there is no result."""
    reasons = {_words(image.reason) for image in case.images.all() if image.reason}
    return f"{wording.headline(case)}{': ' if reasons else ''}{', '.join(sorted(reasons)).lower()}"


def _review(case: Case) -> str:
    if not case.advice:
        return ""
    if case.raised_at:
        return "More urgent since"
    if case.dissent and not case.released_at:
        return "Dermatologists: more urgent"
    return "Reviewed" if case.reviewed_at else "Not yet"


def _failures(batch: Batch) -> Iterator[tuple[str, int]]:
    """Why images ended without a result, and how many; the commonest first."""
    unused = Q(state__in=UNUSED) | Q(state=Image.State.PURGED, results=None)
    refused = batch.images.filter(unused).exclude(batch__state=Batch.State.OPEN)
    reasons = Counter[str]()
    for state, reason, count in refused.order_by().values_list("state", "reason").annotate(Count("pk")):
        reasons[_words(reason) if reason else STATES[state].word] += count
    later = Job.objects.filter(image=OuterRef("image"), pk__gt=OuterRef("pk"))
    failed = batch.jobs.filter(~Exists(later), state=Job.State.FAILED, image__state=Image.State.READY)
    for reason, count in failed.filter(image__results=None).order_by().values_list("reason").annotate(Count("pk")):
        reasons[_words(reason)] += count
    yield from reasons.most_common()


def _words(reason: str) -> str:
    return WORDS.get(reason) or reason.replace("_", " ").capitalize()
