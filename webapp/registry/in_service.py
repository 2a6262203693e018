"""How the model does in service: what it advises from week to week, and how often dermatologists see the same."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils import timezone

from ml.advice import Advice
from ml.classes import CLASSES, MALIGNANT
from ml.metrics.intervals import wilson
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.cases.models import NOT_A_LESION
from webapp.labels.models import Consensus
from webapp.registry.models import ModelRelease
from webapp.registry.words import too_few

WEEKS: Final = 8
ADVICE: Final = [advice.value for advice in Advice]
# For each organisation and advice a stretch of the index `case_by_advice`, whatever else there is.
ADVISED = """
SELECT week.begins, asked.advice, sum(found.cases)::bigint
FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS week (begins, ends)
CROSS JOIN unnest(%(advice)s) AS asked (advice)
CROSS JOIN accounts_organisation organisation
CROSS JOIN LATERAL (
    SELECT count(*) AS cases FROM cases_case
    WHERE organisation_id = organisation.id AND advice = asked.advice AND advice <> ''
        AND created_at >= week.begins AND created_at < week.ends
) found
GROUP BY 1, 2
"""
TURNED_AWAY = """
SELECT week.begins, count(*) FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS week (begins, ends)
JOIN inference_job job ON job.finished_at >= week.begins AND job.finished_at < week.ends
WHERE job.state = 'failed' AND job.reason = %(reason)s
GROUP BY 1
"""


@dataclass(frozen=True)
class Week:
    """The cases that came in seven days, by the advice that holds for each; how many pictures were told as showing no
    lesion, and which releases were made active.
    """

    begins: date
    advised: dict[str, int]
    turned_away: int
    made_active: list[ModelRelease]

    @property
    def cases(self) -> int:
        return sum(self.advised.values())

    @property
    def is_empty(self) -> bool:
        return not (self.cases or self.turned_away or self.made_active)

    @property
    def columns(self) -> list[tuple[str, int, float]]:
        """Each advice, the most urgent first, with how many cases, and how many of a hundred."""
        return [(advice, count, 100 * count / max(self.cases, 1)) for advice, count in self.advised.items()]


@dataclass(frozen=True)
class Seen:
    """Of `of` pictures, how many the model took for what dermatologists name; with the ends of the 95 % interval."""

    right: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.of)


@dataclass(frozen=True)
class Beside:
    """A release beside dermatologists: malignant pictures that it referred, and benign ones that it did not."""

    release: ModelRelease
    measures: dict[str, Any] | None
    malignant: Seen
    benign: Seen

    @property
    def measured(self) -> dict[str, float | None]:
        """Its sensitivity and specificity on the images that it was measured on; None where these were too few."""
        measures = self.measures or {}
        metrics = {} if too_few({"metrics": measures}) else measures["metrics"]
        return {name: metrics.get(name, {}).get("value") for name in ("sensitivity", "specificity")}


def weeks() -> list[Week]:
    """Up to WEEKS weeks, from Monday to Sunday, newest first, of which the first is not over yet; those from before
    anything happened are left out.
    """
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    next_monday = today + timedelta(days=7 - today.weekday())
    ends, *begins = [next_monday - timedelta(weeks=number) for number in range(WEEKS + 1)]
    spans = {"begins": begins, "ends": [ends, *begins[:-1]]}
    advised = {(begin, advice): count for begin, advice, count in _rows(ADVISED, advice=ADVICE, **spans)}
    turned_away = dict(_rows(TURNED_AWAY, reason=NOT_A_LESION, **spans))
    promoted = Event.objects.filter(
        organisation=None, at__gte=begins[-1], action__in=["release.promoted", "release.rolled_back"]
    )
    promotions = [(at, int(pk)) for at, pk in promoted.order_by("at", "pk").values_list("at", "object_id")]
    releases = ModelRelease.objects.only("name").in_bulk([pk for _, pk in promotions])
    found = [
        Week(
            begins=begin.date(),
            advised={advice: advised.get((begin, advice), 0) for advice in ADVICE},
            turned_away=turned_away.get(begin, 0),
            made_active=[releases[pk] for at, pk in promotions if begin <= at < end],
        )
        for begin, end in zip(begins, spans["ends"], strict=True)
    ]
    while len(found) > 1 and found[-1].is_empty:
        found.pop()
    return found


def beside_dermatologists() -> list[Beside]:
    """Each release that has answered pictures which chance gave to annotators and of which they settled the class,
    newest first.

    What stood when they settled it counts. Of a release that was trained here, no picture does whose patient had one
    settled before that, since it may have learnt from it; nor, for the same reason, one of whom nobody named.
    """
    settled = Consensus.objects.filter(drawn=True, dx__in=CLASSES, result__isnull=False)
    trained = Q(result__release__training_run__isnull=False)
    before = Consensus.objects.filter(
        image__case__patient=OuterRef("image__case__patient"),
        created_at__lte=OuterRef("result__release__training_run__created_at"),
    )
    unnamed = Q(image__case__patient__external_id__startswith=Patient.UNNAMED)
    unknown = settled.exclude(trained & unnamed).exclude(Exists(before))
    counts = Counter[tuple[int, bool, bool]]()
    grouped = unknown.values_list("result__release", "dx", "result__advice").annotate(pictures=Count("pk"))
    for release, dx, advice, pictures in grouped:
        counts[release, dx in MALIGNANT, advice != Advice.SELF_MONITOR.value] += pictures
    releases = ModelRelease.objects.filter(pk__in={release for release, _, _ in counts}).only("name")
    measured = releases.annotate(measures=F("manifest__metrics")).order_by("-created_at", "-pk")
    return [
        Beside(each, each.measures, _seen(counts, each.pk, True), _seen(counts, each.pk, False)) for each in measured
    ]


def _seen(counts: Counter[tuple[int, bool, bool]], release: int, malignant: bool) -> Seen:
    right, wrong = counts[release, malignant, malignant], counts[release, malignant, not malignant]
    return Seen(right, right + wrong)


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
