"""What patients agree to: the intended use, without which there is no account at a clinic, and, apart from that, that
models learn from their photos.
"""

import secrets
from datetime import date

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone

from webapp.accounts.models import Organisation, Patient, User
from webapp.addresses import in_one_form
from webapp.audit.services import Actor, record
from webapp.errors import Problem

MAX_WRONG_DATES = 5  # of birth, said by accounts of one address, as one link lets somebody try


@transaction.atomic
def join_as_patient(
    *, user: User, organisation: Organisation, date_of_birth: date, training_consent: bool = False
) -> Patient:
    """The signed-in person as a patient of this organisation, who agrees to the intended use, and says whether models
    may learn from their photos. Twice changes nothing.

    A person whom the organisation knows already, by the same address and date of birth, gets the results that lie
    there. An account is asked once only, and a few accounts of one address may be wrong: nobody can try one date after
    another.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one press after another
    patient = Patient.objects.filter(organisation=organisation, user=user).first()
    if patient is not None:
        return patient
    patient = _known(user, organisation, date_of_birth) or Patient(
        organisation=organisation,
        external_id=f"web-{secrets.token_hex(6)}",
        email=user.email,
        date_of_birth=date_of_birth,
    )
    patient.user, patient.training_consent = user, training_consent
    patient.consented_at = patient.training_said_at = timezone.now()
    patient.save()
    record(actor=Actor(user=user), action="patient.consented", object_id=patient.pk, organisation=organisation)
    _note_choice(Actor(user=user), patient)
    return patient


def _known(user: User, organisation: Organisation, date_of_birth: date) -> Patient | None:
    """Whom the organisation knows by this address and date of birth. None costs all of this address a try."""
    in_the_index = Patient.objects.alias(small=Lower("email")).filter(organisation=organisation).exclude(email="")
    of_address = in_the_index.filter(small=in_one_form(user.email))
    same_address = of_address.filter(user=None, wrong_dates__lt=MAX_WRONG_DATES)
    # In the order in which a batch that names several of them locks them, so that neither waits for the other.
    asked = list(same_address.select_for_update().order_by("external_id"))
    if right := [patient for patient in asked if patient.date_of_birth == date_of_birth]:
        return min(right, key=lambda patient: patient.created_at)
    Patient.objects.filter(pk__in=[patient.pk for patient in asked]).update(wrong_dates=F("wrong_dates") + 1)
    return None


@transaction.atomic
def choose_training(*, actor: Actor, patient: Patient, agreed: bool) -> None:
    """Say whether models may learn from a patient's photos from now on. Twice changes nothing.

    Raises Problem `patients_own_choice` where somebody else agrees for a person who has an account.
    """
    patient = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    if agreed and patient.user_id and (actor.user is None or actor.user.pk != patient.user_id):
        told = "This patient has an account, and agrees there themselves: on “My photos and results”."
        raise Problem("patients_own_choice", told)
    changes = patient.training_consent != agreed
    patient.training_consent, patient.training_said_at = agreed, timezone.now()
    patient.save(update_fields=["training_consent", "training_said_at"])
    if changes:
        _note_choice(actor, patient)


def training_consent_after(said: bool, *, holds: bool, has_account: bool) -> bool:
    """What holds once a clinic has said this of a patient. A refusal holds always; who has an account takes it back
    there.
    """
    return holds if said and has_account else said


def _note_choice(actor: Actor, patient: Patient) -> None:
    record(
        actor=actor,
        action="patient.training_consent",
        object_id=patient.pk,
        organisation=patient.organisation,
        detail="yes" if patient.training_consent else "no",
    )
