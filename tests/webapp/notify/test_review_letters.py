"""A clinic is told that a patient's photo waits for its review: in time, and never in a flood."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    MembershipFactory,
    OrganisationFactory,
    PatientFactory,
    ReleaseFactory,
)
from tests.webapp.notify.post import go_out
from webapp.accounts.models import Membership, Organisation
from webapp.accounts.services import remove_user
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Case
from webapp.cases.review import release_case
from webapp.cases.services import submit_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.services import Outcome, finish
from webapp.notify.delivery import waiting_messages
from webapp.notify.letters import compose
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db
PROBABILITIES = {"MEL": 0.6, "NV": 0.4, "BCC": 0, "AKIEC": 0, "BKL": 0, "DF": 0, "VASC": 0}


def photo_answered(clinic: Organisation) -> Case:
    """A patient's photo that the model has just answered."""
    patient = PatientFactory(organisation=clinic)
    batch = BatchFactory(organisation=clinic, source=Batch.Source.PATIENT)
    case: Case = CaseFactory(batch=batch, patient=patient)
    ImageFactory(case=case, ready=True)
    submit_batch(actor=SYSTEM, batch=batch)
    token, [job] = claim_jobs(limit=1)
    outcome = Outcome(ReleaseFactory(), PROBABILITIES, 0.6, 0.05, "urgent_referral", "test", "0" * 64, b"")
    assert finish(token=token, ends=[(job, outcome)])
    return case


def letters() -> list[Message]:
    return list(Message.objects.filter(kind="review_waiting").order_by("pk"))


def test_the_letter_says_where_to_look_and_nothing_of_what_was_found() -> None:
    case = photo_answered(OrganisationFactory(name="Skin Clinic"))
    [letter] = letters()
    assert letter.recipient == case.organisation.contact_email
    assert list(waiting_messages()) == [letter]
    mail = compose(letter)
    assert "waits for your review" in mail.subject
    for body in (str(mail.body), str(mail.alternatives[0].content)):  # type: ignore[attr-defined]
        assert "/review/" in body
        assert "Skin Clinic" in body
        for secret in ("melanoma", "urgent", "refer", "60%", case.external_id, case.patient.external_id, str(case.pk)):
            assert secret not in body.lower()


def test_many_photos_make_one_letter_an_hour_and_none_goes_untold() -> None:
    clinic = OrganisationFactory()
    for _ in range(3):
        photo_answered(clinic)
    [first] = letters()
    Message.objects.update(state=Message.State.SENT, sent_at=timezone.now())
    for _ in range(3):
        photo_answered(clinic)
    [_, second] = letters()
    assert second.send_after - first.send_after == timedelta(hours=1)
    Message.objects.update(
        state=Message.State.SENT, sent_at=timezone.now(), send_after=timezone.now() - timedelta(days=1)
    )
    photo_answered(clinic)
    assert letters()[2].send_after <= timezone.now()


def test_a_letter_that_waited_its_hour_is_withdrawn_where_everything_was_reviewed_meanwhile() -> None:
    clinic = OrganisationFactory()
    first, second = photo_answered(clinic), photo_answered(clinic)
    release_case(actor=SYSTEM, case=first)
    go_out()
    assert [letter.state for letter in letters()] == [Message.State.SENT]  # the second still waits

    third = photo_answered(clinic)
    for case in (second, third):
        release_case(actor=SYSTEM, case=case)
    clinics_own = BatchFactory(organisation=clinic, submitted=True, remaining=1)
    CaseResultFactory(case=CaseFactory(batch=clinics_own))  # is no patient's photo
    assert len(letters()) == 2  # the second is for in an hour
    Message.objects.filter(state=Message.State.PENDING).update(send_after=timezone.now())
    mail.outbox.clear()
    go_out()
    assert [letter.state for letter in letters()] == [Message.State.SENT]
    assert not [one for one in mail.outbox if clinic.contact_email in one.to]


def test_each_clinic_has_its_own_letters() -> None:
    for _ in range(2):
        photo_answered(OrganisationFactory(contact_email="desk@group.example"))
    assert len(letters()) == 2


def test_nobody_is_told_where_nothing_is_to_be_reviewed() -> None:
    photo_answered(OrganisationFactory(release_policy="automatic"))
    assert not letters()


def test_where_the_clinic_gave_no_address_every_provider_is_told() -> None:
    clinic = OrganisationFactory(contact_email="")
    providers = [MembershipFactory(organisation=clinic).user for _ in range(2)]
    MembershipFactory(organisation=clinic, role=Membership.Role.ANNOTATOR)
    photo_answered(clinic)
    assert [letter.recipient for letter in letters()] == [user.email for user in providers]

    remove_user(actor=SYSTEM, user=providers[0])
    assert [letter.recipient for letter in letters()] == [providers[1].email]


def test_of_a_clinics_own_batch_there_is_the_letter_that_it_is_complete() -> None:
    batch = BatchFactory(submitted=True, remaining=1)
    CaseResultFactory(case=CaseFactory(batch=batch))
    assert not letters()
