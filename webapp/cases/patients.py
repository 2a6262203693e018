"""Whose the cases of a request are. A result goes to its patient's address, so no doubt about that is let in."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from webapp.accounts.consent import training_consent_after
from webapp.accounts.models import Organisation, Patient
from webapp.cases.manifest.mistakes import RowError, RowsRefused
from webapp.cases.manifest.spec import CaseSpec
from webapp.notify.services import update_letters

AT_ONCE = 1000
MAX_LISTED = 100
MAX_NAMED = 10  # of the cases, in the sentence
ADVICE = (
    "Give another person a `patient_id` of their own. If it is the same person, correct the field or leave it out; a "
    "provider changes what is known, on the page of a case of theirs."
)


TimeRange = tuple[datetime, datetime]  # the earliest and the latest moment that something may have been stated


def patients_of(
    *, organisation: Organisation, cases: Sequence[CaseSpec], stated_between: TimeRange | None = None
) -> list[uuid.UUID]:
    """The patient of each case, in order, in the caller's transaction.

    A `patient_id` names one person for good: whom nobody has named before is made, and a known one gains what was
    missing, which their letters follow. Cases without one are of new patients, one for each case or for each lesion of
    one person. Whether models may learn from a patient's photos is what was stated last, by these cases
    `stated_between` these moments, or now; of several cases, a refusal, and where it is unknown which was last.
    Raises RowsRefused `patient_conflict` where a case says another e-mail address or date of birth than is known.
    """
    names = _names(cases)
    emails: dict[str, str] = {}
    born: dict[str, date | None] = {}
    agreed: dict[str, bool] = {}
    for name, spec in zip(names, cases, strict=True):  # the cases of one patient may each say a part
        emails[name] = emails.get(name) or spec.patient_email
        born[name] = born.get(name) or spec.patient_date_of_birth
        if spec.training_consent is not None and agreed.get(name) is not False:
            agreed[name] = spec.training_consent
    # An agreement may be as old as it can be, a refusal as young.
    at = dict(zip((True, False), stated_between or [timezone.now()] * 2, strict=True))
    made = [
        Patient(
            organisation_id=organisation.pk,
            external_id=name,
            email=emails[name],
            date_of_birth=born[name],
            training_consent=agreed.get(name, True),
            training_said_at=at[agreed[name]] if name in agreed else None,
        )
        for name in sorted(emails)  # one order for all batches, so that two never wait for each other
    ]
    patients, former, changed, to_follow = {}, {}, [], []
    for pk, name, email, former[name], day, *held, account in _made_or_known(organisation, made):
        patients[name] = pk
        emails[name], born[name] = email or emails[name], day or born[name]
        holds, since = held
        if name in agreed and not (stated_between and since and since > at[agreed[name]]):  # what was said later stays
            holds = training_consent_after(agreed[name], holds=holds, has_account=account is not None)
            since = at[agreed[name]]
        if (emails[name], born[name], holds, since) != (email, day, *held):
            now = {"email": emails[name], "date_of_birth": born[name]}
            changed.append(Patient(pk=pk, training_consent=holds, training_said_at=since, **now))
        if (emails[name], born[name]) != (email, day):
            to_follow.append(pk)
    conflicts = [
        (spec, field)
        for name, spec in zip(names, cases, strict=True)
        for field in _differing(spec, (emails[name], former[name]), born[name])
    ]
    if conflicts:
        raise _conflict(conflicts)
    columns = ["email", "date_of_birth", "training_consent", "training_said_at"]
    Patient.objects.bulk_update(changed, columns, batch_size=AT_ONCE)
    update_letters(patients=to_follow)
    return [patients[name] for name in names]


def _made_or_known(organisation: Organisation, made: Sequence[Patient]) -> list[Any]:
    """The columns of these patients, who are made where nobody has named them before."""
    named = organisation.patients.filter(external_id__in=[patient.external_id for patient in made])
    # Locked, so that of two batches that say who somebody is, the later is held against the earlier.
    known = named.select_for_update(no_key=True).order_by("external_id")
    columns = known.values_list(
        "pk", "external_id", "email", "clinics_email", "date_of_birth", "training_consent", "training_said_at", "user"
    )
    found: list[Any] = []
    while len(found) < len(made):  # again where one was erased after it was found to be there
        Patient.objects.bulk_create(made, batch_size=AT_ONCE, ignore_conflicts=True)
        found = list(columns.all())
    return found


def is_of(spec: CaseSpec, patient: Patient) -> bool:
    """Whether a case that is there already, of this patient, is as it is said now. That models may learn from photos is
    not said anew by a repeat, which may be older than a refusal; a refusal that does not hold yet is something new.
    """
    named = (
        spec.patient_id == patient.external_id if spec.patient_id else patient.external_id.startswith(Patient.UNNAMED)
    )
    refused = spec.training_consent is False and patient.training_consent
    known = (patient.email, patient.clinics_email)
    return named and not refused and not _differing(spec, known, patient.date_of_birth)


def _names(cases: Sequence[CaseSpec]) -> list[str]:
    """Each case's patient: as the clinic names them, or by a name that nobody has.

    Clinics number their cases and lesions from 1 again, so neither id says who somebody is beyond this request.
    """
    made: dict[tuple[object, ...], str] = {}
    names = []
    for spec in cases:
        same = (spec.lesion_id, spec.patient_email, spec.patient_date_of_birth)
        key = same if spec.lesion_id else ("", spec.external_id)
        names.append(spec.patient_id or made.setdefault(key, f"{Patient.UNNAMED}{secrets.token_hex(8)}"))
    return names


def _differing(spec: CaseSpec, emails: tuple[str, str], born: date | None) -> list[str]:
    """The fields of a case that say something else of its patient. What is left out says nothing.

    Of the two addresses, one is where letters go and one what the clinic calls it, empty where that is the same.
    """
    differs = {
        "patient_email": spec.patient_email and spec.patient_email not in {email.lower() for email in emails},
        "patient_date_of_birth": spec.patient_date_of_birth and spec.patient_date_of_birth != born,
    }
    return [field for field, it_does in differs.items() if it_does]


def _conflict(conflicts: Sequence[tuple[CaseSpec, str]]) -> RowsRefused:
    """What to do; never what is known, which the sender may not be meant to read."""
    some = ", ".join(f"{spec.external_id} ({field})" for spec, field in conflicts[:MAX_NAMED])
    more = f" and {len(conflicts) - MAX_NAMED} more" if len(conflicts) > MAX_NAMED else ""
    message = f"Something else of the patient than is known, or than another of their cases says. {ADVICE}"
    return RowsRefused(
        "patient_conflict",
        "Nothing was stored, because a result could reach the wrong person. These cases say something else of their "
        f"patient than is known, or than another of them: {some}{more}. {ADVICE}",
        [
            RowError(row, field, "patient_conflict", message)
            for spec, field in conflicts
            for row in dict.fromkeys(spec.rows)
        ],
        conflict_count=len(conflicts),
        conflicts=[{"case_id": spec.external_id, "field": field} for spec, field in conflicts[:MAX_LISTED]],
    )
