"""A letter with a link goes where the clinic knows its patient when it is sent, whatever was corrected meanwhile."""

import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from tests.factories import CaseFactory, CaseResultFactory, PatientFactory, UserFactory
from tests.webapp.elsewhere import elsewhere, somebody_waits
from tests.webapp.notify.post import go_out
from tests.workers.waiting import wait_for
from webapp.accounts.models import Patient, User
from webapp.accounts.services import correct_patient, follow_account
from webapp.audit.services import SYSTEM
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch, Case
from webapp.cases.patients import patients_of
from webapp.cases.review import release_case
from webapp.errors import Problem
from webapp.notify.delivery import UNKNOWN, claim_message
from webapp.notify.links import close_links, renew_link, send_another_link
from webapp.notify.models import Message, ResultLink
from webapp.notify.services import notify_patient_to_retake
from workers.delivery import _hand_over, send

pytestmark = pytest.mark.django_db(transaction=True)


def of_a_stranger() -> Case:
    """A case with a result, whose patient is known by somebody else's address."""
    case: Case = CaseResultFactory(case__patient__email="stranger@home.example").case
    return case


def correct(patient: Patient) -> None:
    correct_patient(actor=SYSTEM, patient=patient, email="patient@home.example", date_of_birth=date(1960, 2, 3))


def test_a_result_that_is_released_while_the_address_is_corrected() -> None:
    case = of_a_stranger()
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            correct(case.patient)
            thread.submit(elsewhere, partial(release_case, actor=SYSTEM, case=case)).result()
        go_out()
    assert [letter.to for letter in mail.outbox] == [["patient@home.example"]]
    assert Message.objects.get().recipient == "patient@home.example"


def test_a_result_that_is_released_while_a_batch_that_is_being_stored_says_the_address() -> None:
    case: Case = CaseResultFactory(case__patient__email="").case
    said = CaseSpec("A-2", ["a.jpg"], patient_id=case.patient.external_id, patient_email="patient@home.example")
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            patients_of(organisation=case.organisation, cases=[said])
            release = thread.submit(elsewhere, partial(release_case, actor=SYSTEM, case=case))
            wait_for(lambda: release.done() or somebody_waits())
        release.result()
    go_out()
    assert [letter.to for letter in mail.outbox] == [["patient@home.example"]]


def test_a_link_that_is_asked_for_while_the_address_is_corrected() -> None:
    case = of_a_stranger()
    release_case(actor=SYSTEM, case=case)
    go_out()
    ResultLink.objects.update(expires_at=timezone.now())
    before = timezone.now() - timedelta(hours=2)
    Message.objects.update(state=Message.State.FAILED, sent_at=None, send_after=before, error=UNKNOWN)
    case = Case.objects.select_related("patient").get()  # as the page has found it

    correct(case.patient)
    renew_link(case=case)
    mail.outbox.clear()
    go_out()
    assert [letter.to for letter in mail.outbox] == [["patient@home.example"]]


def test_a_link_that_is_sent_again_while_the_address_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    case = of_a_stranger()
    release_case(actor=SYSTEM, case=case)
    go_out()
    ResultLink.objects.update(tries_left=0)
    mail.outbox.clear()
    again = partial(send_another_link, actor=SYSTEM, case=case)
    with ThreadPoolExecutor(1) as thread:

        def close(**patients: Any) -> None:
            asked.append(thread.submit(elsewhere, again))
            wait_for(somebody_waits)
            close_links(**patients)

        asked: list[Future[None]] = []
        monkeypatch.setattr("webapp.notify.services.close_links", close)
        correct(case.patient)
        with pytest.raises(Problem, match="not locked any more"):
            asked[0].result()
    go_out()
    assert [letter.to for letter in mail.outbox] == [["patient@home.example"]]


def leased_to_somebody_with_an_account() -> tuple[uuid.UUID, Message, User]:
    """A letter that asks for another photo and is about to be written."""
    user: User = UserFactory(email="mine@home.example")
    patient = PatientFactory(email="mine@home.example", user=user)
    case = CaseFactory(patient=patient, batch__source=Batch.Source.PATIENT, batch__organisation=patient.organisation)
    notify_patient_to_retake(case=case)
    claimed = claim_message()
    assert claimed is not None
    return *claimed, user


def test_a_letter_that_asks_for_another_photo_goes_to_the_address_that_was_chosen_meanwhile() -> None:
    token, message, user = leased_to_somebody_with_an_account()
    follow_account(user=user, email="other@home.example")
    send(message, token)
    assert [letter.to for letter in mail.outbox] == [["other@home.example"]]
    assert Message.objects.get().recipient == "other@home.example"


def test_a_letter_that_is_at_the_mail_server_is_recorded_as_sent_to_where_it_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token, message, user = leased_to_somebody_with_an_account()

    def hand_over(*letter: Any) -> None:
        follow_account(user=user, email="other@home.example")
        _hand_over(*letter)

    monkeypatch.setattr("workers.delivery._hand_over", hand_over)
    send(message, token)
    assert [letter.to for letter in mail.outbox] == [["mine@home.example"]]
    sent = Message.objects.get()
    assert (sent.state, sent.recipient) == (Message.State.SENT, "mine@home.example")


def test_an_address_that_was_right_before_is_chosen_again_though_a_letter_to_the_other_waits() -> None:
    patient = PatientFactory(email="mine@home.example", user=UserFactory(email="mine@home.example"))
    case = CaseFactory(patient=patient, batch__source=Batch.Source.PATIENT, batch__organisation=patient.organisation)
    notify_patient_to_retake(case=case)
    go_out()
    assert patient.user is not None
    follow_account(user=patient.user, email="other@home.example")
    notify_patient_to_retake(case=Case.objects.get())  # a second run of the photo failed, too

    follow_account(user=patient.user, email="mine@home.example")

    patient.refresh_from_db()
    assert patient.email == "mine@home.example"
    assert [letter.recipient for letter in Message.objects.all()] == ["mine@home.example"]
