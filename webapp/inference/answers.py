"""Which of its answers holds for a case."""

from django.db.models import Q

from webapp.cases.models import Case
from webapp.inference.models import CaseResult


def hold(*, result: CaseResult) -> bool:
    """Make `result` the answer that holds for its case, in the caller's transaction.

    False where the patient has been given another one already: that stays what the case says, and `result` is kept
    beside it.
    """
    free = Case.objects.filter(Q(released_at=None) | Q(answer=None), pk=result.case_id)
    return bool(
        free.update(
            answer=result,
            advice=result.advice,
            top_class=result.top_class,
            risk=result.malignant,
            uncertainty=result.uncertainty,
        )
    )
