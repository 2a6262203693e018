"""Which of its answers holds for a case."""

from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from webapp.cases.models import URGENCY
from webapp.cases.review import announce_raised
from webapp.inference.models import CaseResult

SET_CURRENT_ANSWER = """
UPDATE cases_case held
SET answer_id = result.id, advice = result.advice, top_class = result.top_class, risk = result.malignant,
    uncertainty = result.uncertainty
FROM inference_caseresult result
WHERE result.id = ANY(%s) AND held.id = result.case_id AND (held.released_at IS NULL OR held.answer_id IS NULL)
"""
RAISE_RELEASED = """
UPDATE cases_case held SET raised_at = result.created_at
FROM inference_caseresult result JOIN cases_case before ON before.id = result.case_id
WHERE result.id = ANY(%s) AND held.id = result.case_id AND held.released_at IS NOT NULL AND held.answer_id <> result.id
    AND array_position(%s, result.advice::text) - 1 < held.urgency
    AND NOT EXISTS (
        SELECT FROM inference_caseresult shown
        WHERE shown.case_id = held.id AND shown.created_at = held.raised_at
            AND array_position(%s, shown.advice::text) < array_position(%s, result.advice::text)
    )
RETURNING held.id, NOT EXISTS (
    SELECT FROM inference_caseresult shown
    WHERE shown.case_id = held.id AND shown.created_at = before.raised_at AND shown.advice = result.advice
)
"""


@transaction.atomic
def set_current_answers(*, results: Sequence[CaseResult]) -> int:
    """Make each of `results` the current answer of its case; gives the number of cases that it changed.

    Not where the patient has been given another one already: that stays what the case says, and the result is kept
    beside it. Where it is more urgent, the case says since when (`raised_at`, of the most urgent one), until a
    clinician has looked again, and the clinic is told, unless it waits for a clinician already for as much.
    """
    written = [result.pk for result in results]
    with connection.cursor() as cursor:
        cursor.execute(SET_CURRENT_ANSWER, [written])
        held = int(cursor.rowcount)
        cursor.execute(RAISE_RELEASED, [written, *[list(URGENCY)] * 3])
        raised = [pk for pk, is_more in cursor.fetchall() if is_more]
    if raised:
        announce_raised(cases=raised)
    return held


def doubt_of(malignant: float, uncertainty: float | None, thresholds: Mapping[str, float]) -> float:
    """How little a release is sure of its advice, the smaller the less: the distance of P(malignant) from the nearest
    of its thresholds, less the uncertainty.
    """
    return min(abs(malignant - threshold) for threshold in thresholds.values()) - (uncertainty or 0)
