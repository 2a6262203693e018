"""A letter that went to somebody else's address opens nothing any more, and reaches the right person."""

import re
from datetime import date

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse

from tests.factories import CaseResultFactory, UserFactory
from tests.webapp.notify.post import go_out
from webapp.accounts.models import Patient
from webapp.accounts.services import correct_patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Case
from webapp.cases.review import release_case
from webapp.notify.delivery import claim_message
from webapp.notify.models import Message, ResultLink
from workers.delivery import send

pytestmark = pytest.mark.django_db


def told() -> Case:
    """A case whose patient was sent the letter."""
    case: Case = CaseResultFactory(case__patient__email="stranger@home.example").case
    release_case(actor=SYSTEM, case=case)
    go_out()
    return case


def corrected(patient: Patient, email: str) -> None:
    correct_patient(actor=SYSTEM, patient=patient, email=email, date_of_birth=date(1960, 2, 3))


def link_in(letter: mail.EmailMessage) -> str:
    found = re.search(r"https?://[^/]+(/\S+)", str(letter.body))
    assert found is not None
    return found[1]


def test_a_link_that_a_stranger_got_is_closed_and_the_patient_is_told(client: Client) -> None:
    case = told()
    old = link_in(mail.outbox[0])
    assert client.get(old, follow=True).status_code == 200

    corrected(case.patient, "patient@home.example")
    assert client.get(old, follow=True).status_code in (404, 410)
    assert client.post(old, {"date_of_birth": "1960-02-03"}, follow=True).status_code in (404, 410)
    go_out()

    assert [letter.to for letter in mail.outbox] == [["stranger@home.example"], ["patient@home.example"]]
    assert link_in(mail.outbox[1]) != old
    assert client.get(link_in(mail.outbox[1]), follow=True).status_code == 200
    letter = Message.objects.get()
    assert (letter.state, letter.recipient, letter.renewals) == (Message.State.SENT, "patient@home.example", 1)
    first, second = (str(sent.extra_headers["Message-ID"]) for sent in mail.outbox)
    assert first != second


def test_the_same_address_in_other_letters_sends_nothing_anew() -> None:
    case = told()
    corrected(case.patient, "Stranger@Home.example")
    go_out()
    assert len(mail.outbox) == ResultLink.objects.count() == 1


def test_an_address_that_was_only_wrong_is_taken_away_and_the_letter_waits_for_another() -> None:
    case = told()
    corrected(case.patient, "")
    go_out()
    assert not ResultLink.objects.exists()
    assert len(mail.outbox) == 1
    corrected(case.patient, "patient@home.example")
    go_out()
    assert mail.outbox[1].to == ["patient@home.example"]


def test_a_letter_that_is_being_sent_meanwhile_opens_nothing_and_goes_out_anew() -> None:
    case: Case = CaseResultFactory(case__patient__email="stranger@home.example").case
    release_case(actor=SYSTEM, case=case)
    claimed = claim_message()
    assert claimed is not None
    corrected(case.patient, "patient@home.example")
    send(claimed[1], claimed[0])
    assert mail.outbox == []
    assert not ResultLink.objects.exists()
    go_out()
    assert [letter.to for letter in mail.outbox] == [["patient@home.example"]]


def test_a_patient_who_chooses_another_address_gets_letters_there(client: Client) -> None:
    case = told()
    user = UserFactory(email="stranger@home.example")
    Patient.objects.filter(pk=case.patient_id).update(user=user)
    waiting: Case = CaseResultFactory(case__patient=case.patient).case
    release_case(actor=SYSTEM, case=waiting)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    EmailAddress.objects.create(user=user, email="mine@home.example", verified=True)
    user.set_password("a long enough pass phrase")
    user.save()
    client.post(reverse("account_login"), {"login": user.email, "password": "a long enough pass phrase"})

    client.post(reverse("account_email"), {"email": "mine@home.example", "action_primary": ""})

    case.patient.refresh_from_db()
    assert case.patient.email == "mine@home.example"
    assert not ResultLink.objects.exists()
    mail.outbox.clear()
    go_out()
    assert [letter.to for letter in mail.outbox] == [["mine@home.example"]]
    event = Event.objects.get(action="patient.corrected")
    assert (event.user, event.organisation) == (user, case.patient.organisation)
