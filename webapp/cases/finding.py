"""A clinic's cases of all batches, by what the clinic calls them or their patients."""

from typing import Any

from django.db.models import Value
from django.db.models.functions import Collate, Upper

from webapp.accounts.models import CALLED, Organisation, Patient
from webapp.cases.models import Case
from webapp.cases.selectors import with_release

LISTED = 100


def found(organisation: Organisation, words: str) -> list[Case]:
    """The cases whose own id, or whose patient's, begins with these words, in capitals or not: one more than are
    LISTED where there are more. Those whose whole id it is come first, of each id the newest.

    Read in the order of an index, so that the first letter of a million ids costs as little as a whole one.
    """
    if not words:
        return []
    begin = Upper(Value(words))
    cases = with_release(Case.objects.filter(organisation=organisation)).prefetch_related("images__jobs")
    so_called = cases.annotate(sought=CALLED).filter(sought__startswith=begin)
    patients = Patient.objects.filter(organisation=organisation).annotate(sought=CALLED)
    named = patients.filter(sought__startswith=begin).order_by("sought").values_list("pk", flat=True)[: LISTED + 1]
    of_patients = cases.filter(patient__in=list(named)).annotate(sought=Collate(Upper("patient__external_id"), "C"))
    rows: list[Any] = [
        case for by in (so_called, of_patients) for case in by.order_by("sought", "-created_at", "id")[: LISTED + 1]
    ]
    rows.sort(key=lambda case: case.created_at, reverse=True)
    rows.sort(key=lambda case: case.sought)
    return list(dict.fromkeys(rows))[: LISTED + 1]
