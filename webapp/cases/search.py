"""A clinic's cases of all batches, by what the clinic calls them or their patients, or by these people's addresses."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Collate, Lower, Upper

from webapp.accounts.models import CALLED, Organisation, Patient
from webapp.addresses import in_one_form
from webapp.cases.models import Case
from webapp.cases.selectors import with_release

MAX_RESULTS = 100


def search_cases(organisation: Organisation, words: str) -> list[Case]:
    """The cases whose own id, or whose patient's, begins with these words, in capitals or not, and those of whoever
    is known by this whole address: one more than MAX_RESULTS where there are more. Those whose whole id it is come
    first, of each id the newest. Ids that are not the clinic's own are not sought: of what is erased, and of patients
    whom it has not named.

    Read in the order of an index, so that the first letter of a million ids costs as little as a whole one.
    """
    if not words:
        return []
    begin = Upper(Value(words))
    kept = Case.objects.filter(organisation=organisation, erased_at=None)
    cases = with_release(kept).prefetch_related("images__jobs")
    so_called = cases.annotate(sought=CALLED).filter(sought__startswith=begin)
    of_case = Exists(kept.filter(patient=OuterRef("pk")))  # else who has none would take the place of who has
    patients = Patient.objects.filter(of_case, organisation=organisation).annotate(sought=CALLED)
    named = patients.filter(sought__startswith=begin).exclude(external_id__startswith=Patient.UNNAMED)
    first = [*named.order_by("sought").values_list("pk", flat=True)[: MAX_RESULTS + 1], *_ids_by_email(patients, words)]
    of_patients = cases.filter(patient__in=first).annotate(sought=Collate(Upper("patient__external_id"), "C"))
    rows: list[Any] = [
        case
        for by in (so_called, of_patients)
        for case in by.order_by("sought", "-created_at", "id")[: MAX_RESULTS + 1]
    ]
    rows.sort(key=lambda case: case.created_at, reverse=True)
    rows.sort(key=lambda case: case.sought)
    return list(dict.fromkeys(rows))[: MAX_RESULTS + 1]


def _ids_by_email(patients: QuerySet[Patient], words: str) -> list[UUID]:
    """The ids of the patients whose e-mail address this is, or was as the clinic knows it."""
    try:
        address = in_one_form(words)
    except ValidationError:  # no address
        return []
    found: list[UUID] = []
    for field in ("email", "clinics_email"):  # each by its index
        known = patients.alias(small=Lower(field)).exclude(**{field: ""}).filter(small=address)
        found += known.values_list("pk", flat=True)[: MAX_RESULTS + 1]
    return found
