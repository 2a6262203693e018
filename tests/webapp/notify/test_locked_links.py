"""A clinic is told that wrong dates of birth have locked a result's link, and sees the case until that is seen to."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from importlib import import_module

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import CaseResultFactory, MembershipFactory, OrganisationFactory, PatientFactory
from tests.webapp.notify.post import go_out
from webapp.accounts.models import Organisation
from webapp.accounts.services import correct_patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.erasure import erase_case
from webapp.cases.models import Case
from webapp.cases.review import release_case
from webapp.errors import Problem
from webapp.notify.links import (
    TRIES,
    acknowledge_lock,
    find_link,
    make_result_link,
    open_link,
    renew_link,
    send_another_link,
)
from webapp.notify.models import Message, ResultLink

pytestmark = pytest.mark.django_db
BORN = date(1960, 2, 3)
WRONG = date(1960, 3, 2)
LIST = reverse("cases:to_review")
HEADING = "Patients who cannot open their result"


def told(clinic: Organisation, **batch: object) -> tuple[Case, str]:
    """A case whose patient has the letter, and the token of the link in it."""
    patient = PatientFactory(organisation=clinic, email="anna@home.example", date_of_birth=BORN)
    made: Case = CaseResultFactory(
        case__patient=patient, case__batch__organisation=clinic, **{f"case__batch__{k}": v for k, v in batch.items()}
    ).case
    release_case(actor=SYSTEM, case=made)
    go_out()
    return made, token_in_last()


def token_in_last() -> str:
    found = re.search(r"/results/(\S+?)/\s", str(mail.outbox[-1].body))
    assert found is not None, mail.outbox[-1].body
    return found[1]


def tried(token: str, *born: date) -> list[bool]:
    link = find_link(token)
    assert link is not None
    return [open_link(link=link, date_of_birth=day) for day in born]


def locked(clinic: Organisation) -> tuple[Case, str]:
    case, token = told(clinic)
    tried(token, *[WRONG] * TRIES)
    case.refresh_from_db()
    assert case.link_locked_at is not None
    return case, token


def letters() -> list[Message]:
    return list(Message.objects.filter(kind="case_raised").order_by("pk"))


def test_the_last_wrong_date_brings_the_case_back_and_none_before_it(client: Client, clinic: Organisation) -> None:
    case, token = told(clinic)
    tried(token, *[WRONG] * (TRIES - 1))
    assert not letters()
    assert HEADING not in client.get(LIST).content.decode()

    tried(token, WRONG)

    page = client.get(LIST).content.decode()
    assert HEADING in page
    assert reverse("cases:case", args=[case.pk]) in page
    assert '<span class="badge bg-blue-lt ms-1">1<' in page
    page = client.get(reverse("cases:case", args=[case.pk])).content.decode()
    assert page.count("The link in the letter is locked") == 1
    for name in ("case_patient", "case_another_link", "case_lock_seen"):
        assert reverse(f"cases:{name}", args=[case.pk]) in page


def test_the_clinic_gets_its_usual_letter_which_says_nothing_of_the_case() -> None:
    clinic = OrganisationFactory(name="Skin Clinic")
    (case, first), (_, second) = told(clinic), told(clinic)
    for token in (first, second):
        tried(token, *[WRONG] * TRIES)
    [letter] = letters()
    assert letter.recipient == clinic.contact_email
    go_out()
    sent = mail.outbox[-1]
    assert sent.to == [clinic.contact_email]
    for body in (str(sent.body), str(sent.alternatives[0].content)):  # type: ignore[attr-defined]
        assert "/review/" in body
        for secret in ("urgent", "melanoma", "birth", case.external_id, case.patient.external_id, str(case.pk)):
            assert secret not in body.lower()


def test_a_letter_is_withdrawn_where_the_date_was_corrected_meanwhile() -> None:
    case, _ = locked(OrganisationFactory())
    correct_patient(actor=SYSTEM, patient=case.patient, date_of_birth=WRONG)
    go_out()
    assert not letters()
    assert len(mail.outbox) == 1


def right_date(case: Case, token: str) -> None:
    ResultLink.objects.update(tries_left=TRIES)
    assert tried(token, BORN) == [True]


def too_old_and_asked_for_anew(case: Case, token: str) -> None:
    ResultLink.objects.update(expires_at=timezone.now())
    Message.objects.update(send_after=timezone.now() - timedelta(hours=2))
    renew_link(case=case)


@pytest.mark.parametrize(
    "settles",
    [
        lambda case, _: correct_patient(actor=SYSTEM, patient=case.patient, date_of_birth=WRONG),
        lambda case, _: correct_patient(actor=SYSTEM, patient=case.patient, email="right@home.example"),
        lambda case, _: send_another_link(actor=SYSTEM, case=case),
        lambda case, _: acknowledge_lock(actor=SYSTEM, case=case),
        lambda case, _: erase_case(actor=SYSTEM, case=case),
        right_date,
        too_old_and_asked_for_anew,
    ],
)
def test_a_case_waits_until_somebody_has_seen_to_it(
    client: Client, clinic: Organisation, settles: Callable[[Case, str], object]
) -> None:
    case, token = locked(clinic)
    other, _ = locked(clinic)
    settles(case, token)
    case.refresh_from_db()
    other.refresh_from_db()
    assert case.link_locked_at is None
    assert other.link_locked_at is not None


def test_another_link_goes_to_the_patient_and_the_locked_one_ends(client: Client, clinic: Organisation) -> None:
    case, old = locked(clinic)
    address = reverse("cases:case_another_link", args=[case.pk])

    page = client.post(address, follow=True).content.decode()
    assert "Another link is on its way" in page
    go_out()

    [first, second] = [one for one in mail.outbox if one.to == ["anna@home.example"]]
    assert first.extra_headers["Message-ID"] != second.extra_headers["Message-ID"]
    assert find_link(old) is None
    assert tried(token_in_last(), WRONG, BORN) == [False, True]
    event = Event.objects.get(action="case.link_sent_again")
    assert (event.user, event.object_id) == (clinic.memberships.get().user, str(case.pk))

    assert "no other was sent" in client.post(address, follow=True).content.decode()
    assert Event.objects.filter(action="case.link_sent_again").count() == 1


def test_who_has_told_the_patient_says_so_and_the_link_stays_locked(client: Client, clinic: Organisation) -> None:
    case, token = locked(clinic)

    page = client.post(reverse("cases:case_lock_seen", args=[case.pk]), follow=True).content.decode()

    assert "no longer waits" in page
    assert "The link in the letter is locked" in page
    assert HEADING not in client.get(LIST).content.decode()
    with pytest.raises(Problem, match="locked"):
        tried(token, BORN)
    assert Event.objects.filter(action="case.lock_seen_to", object_id=str(case.pk)).count() == 1
    acknowledge_lock(actor=Actor(), case=case)
    assert Event.objects.filter(action="case.lock_seen_to").count() == 1


def test_a_link_that_is_locked_again_is_told_of_again() -> None:
    case, _ = locked(OrganisationFactory())
    go_out()
    Message.objects.filter(kind="case_raised").update(send_after=timezone.now() - timedelta(days=1))
    send_another_link(actor=SYSTEM, case=case)
    go_out()
    tried(token_in_last(), *[WRONG] * TRIES)
    go_out()
    assert len([one for one in mail.outbox if "clinician again" in one.subject]) == 2


def test_a_case_that_is_more_urgent_too_is_listed_and_counted_once(client: Client, clinic: Organisation) -> None:
    case, _ = locked(clinic)
    Case.objects.update(raised_at=timezone.now())
    page = client.get(LIST).content.decode()
    assert HEADING not in page
    assert page.count(reverse("cases:case", args=[case.pk])) == 1
    assert "The patient cannot open it" in page
    assert '<span class="badge bg-blue-lt ms-1">1<' in page


@pytest.mark.parametrize("role", ["annotator", "operator"])
@pytest.mark.parametrize("name", ["case_another_link", "case_lock_seen"])
def test_only_the_clinics_own_providers_see_to_it(client: Client, role: str, name: str) -> None:
    case, _ = locked(OrganisationFactory())
    for member in (MembershipFactory(organisation=case.organisation, role=role), MembershipFactory()):
        client.force_login(member.user)
        assert client.post(reverse(f"cases:{name}", args=[case.pk])).status_code in (403, 404)
    case.refresh_from_db()
    assert case.link_locked_at is not None


def test_links_that_were_locked_before_cases_said_so_are_found(client: Client, clinic: Organisation) -> None:
    waiting, told_since, has_another, may_ask = (locked(clinic)[0] for _ in range(4))
    acknowledge_lock(actor=SYSTEM, case=told_since)
    make_result_link(case=has_another)
    ResultLink.objects.filter(case=may_ask).update(expires_at=timezone.now() - timedelta(days=1))
    Case.objects.update(link_locked_at=None)

    with connection.cursor() as cursor:
        cursor.execute(import_module("webapp.cases.migrations.0037_link_locked_before").LOCKED_BEFORE)

    page = client.get(LIST).content.decode()
    assert HEADING in page
    found = Case.objects.get(link_locked_at__isnull=False)
    assert found == waiting
    last = Event.objects.filter(action="result_link.wrong_date", object_id=str(waiting.pk)).latest("at")
    assert found.link_locked_at == last.at
