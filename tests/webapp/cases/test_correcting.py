"""A provider adds and corrects how their patient is reached, from the page of a case; the letters follow."""

from datetime import date
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from tests.factories import CaseResultFactory, MembershipFactory, PatientFactory, UserFactory
from tests.webapp.forms import as_shown
from tests.webapp.notify.post import go_out
from webapp.accounts.models import Organisation, Patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.erasure import erase_case
from webapp.cases.models import Case
from webapp.cases.review import release_case
from webapp.notify.links import TRIES, find_link, make_result_link, open_link
from webapp.notify.models import ResultLink

pytestmark = pytest.mark.django_db
BORN = date(1960, 2, 3)


def released(clinic: Organisation, **known: Any) -> Case:
    """A case whose result was given to a patient of whom this is known."""
    patient = PatientFactory(organisation=clinic, **{"email": "anna@home.example", "date_of_birth": BORN, **known})
    case: Case = CaseResultFactory(case__patient=patient, case__batch__organisation=clinic).case
    release_case(actor=SYSTEM, case=case)
    go_out()
    return case


def address(case: Case) -> str:
    return reverse("cases:case_patient", args=[case.pk])


def shown(client: Client, case: Case) -> dict[str, list[str]]:
    return as_shown(client.get(address(case)).content.decode())


def corrected(client: Client, case: Case, **now: str) -> str:
    """The page that follows where these fields of the form were changed, and no other."""
    return client.post(address(case), {**shown(client, case), **now}, follow=True).content.decode()


@pytest.mark.parametrize(
    ("unknown", "now"),
    [
        ({"email": ""}, {"email": "Anna@Home.example"}),
        ({"date_of_birth": None}, {"date_of_birth": "1960-02-03"}),
        ({"email": "", "date_of_birth": None}, {"email": "anna@home.example", "date_of_birth": "1960-02-03"}),
    ],
)
def test_a_letter_that_waited_goes_out_once_a_provider_has_added_what_it_wanted(
    client: Client, clinic: Organisation, unknown: dict[str, Any], now: dict[str, str]
) -> None:
    case = released(clinic, **unknown)
    assert not mail.outbox
    assert address(case) in client.get(reverse("cases:case", args=[case.pk])).content.decode()

    assert "What is known of the patient was changed." in corrected(client, case, **now)

    go_out()
    assert [letter.to for letter in mail.outbox] == [["anna@home.example"]]
    patient = Patient.objects.get()
    assert (patient.email, patient.date_of_birth) == ("anna@home.example", BORN)


@pytest.mark.parametrize(
    "wanted",
    [
        "The patient's e-mail address is missing.",
        "The patient's date of birth is missing, so the link could not be opened.",
    ],
)
def test_a_letter_that_failed_under_the_sentence_of_an_older_version_goes_out_too(
    client: Client, clinic: Organisation, wanted: str
) -> None:
    case = released(clinic, date_of_birth=None)
    case.messages.update(error=f"{wanted} Ask your administrator to add it.")

    corrected(client, case, date_of_birth="1960-02-03")

    go_out()
    assert len(mail.outbox) == 1


def test_an_address_that_was_somebody_elses_gets_no_more_and_its_link_ends(
    client: Client, clinic: Organisation
) -> None:
    case = released(clinic, email="stranger@home.example")
    old = ResultLink.objects.get()

    corrected(client, case, email="anna@home.example")
    go_out()

    assert [letter.to for letter in mail.outbox] == [["stranger@home.example"], ["anna@home.example"]]
    assert not ResultLink.objects.filter(pk=old.pk).exists()


def test_a_link_that_was_locked_by_a_wrong_date_opens_with_the_corrected_one(
    client: Client, clinic: Organisation
) -> None:
    case = released(clinic, date_of_birth=date(1961, 3, 2))
    link = find_link(make_result_link(case=case))
    assert link is not None
    assert not any(open_link(link=link, date_of_birth=BORN) for _ in range(TRIES))

    corrected(client, case, date_of_birth="1960-02-03")

    again = ResultLink.objects.select_related("case__patient").get(pk=link.pk)
    assert open_link(link=again, date_of_birth=BORN)
    go_out()
    assert len(mail.outbox) == 1  # the letter that the patient has is good


def test_the_trail_says_who_changed_which_field_and_never_what_it_says(client: Client, clinic: Organisation) -> None:
    case = released(clinic)

    page = corrected(client, case, email="new@home.example", date_of_birth="1961-03-02")

    event = Event.objects.get(action="patient.corrected")
    assert (event.user, event.organisation) == (clinic.memberships.get().user, clinic)
    assert (event.object_id, event.detail) == (str(case.patient_id), "email, date_of_birth")
    assert Event.objects.filter(action="patient.viewed", object_id=str(case.patient_id)).count() == 1
    assert "Patient corrected (email, date_of_birth)" in page


def test_what_nobody_touched_stays_as_a_colleague_has_set_it_meanwhile(client: Client, clinic: Organisation) -> None:
    case = released(clinic)
    said = shown(client, case)
    Patient.objects.update(email="set@home.example")

    client.post(address(case), {**said, "date_of_birth": "1961-03-02"})

    patient = Patient.objects.get()
    assert (patient.email, patient.date_of_birth) == ("set@home.example", date(1961, 3, 2))


def test_a_form_that_was_not_touched_changes_nothing_and_lets_no_date_be_tried_again(
    client: Client, clinic: Organisation
) -> None:
    case = released(clinic)
    ResultLink.objects.update(tries_left=0)

    assert "Nothing was changed." in corrected(client, case)

    assert ResultLink.objects.get().tries_left == 0
    assert not Event.objects.filter(action="patient.corrected").exists()


@pytest.mark.parametrize("now", [{"email": "anna@"}, {"date_of_birth": "1850-01-01"}, {"date_of_birth": "2999-01-01"}])
def test_what_cannot_be_so_is_refused(client: Client, clinic: Organisation, now: dict[str, str]) -> None:
    case = released(clinic)
    assert 'aria-invalid="true"' in corrected(client, case, **now)
    assert not Event.objects.filter(action="patient.corrected").exists()


def test_a_patient_with_an_account_keeps_the_address_that_they_have_proved(
    client: Client, clinic: Organisation
) -> None:
    case = released(clinic, user=UserFactory(email="anna@home.example"))
    page = client.get(address(case)).content.decode()
    assert "anna@home.example" not in page
    assert "has an account" in page

    said = {"email": "stranger@home.example", "initial-email": "anna@home.example"}
    client.post(address(case), {**as_shown(page), **said, "date_of_birth": "1961-03-02"})

    patient = Patient.objects.get()
    assert (patient.email, patient.date_of_birth) == ("anna@home.example", date(1961, 3, 2))
    go_out()
    assert [letter.to for letter in mail.outbox] == [["anna@home.example"]]


def test_an_account_that_is_made_meanwhile_keeps_its_address_too(client: Client, clinic: Organisation) -> None:
    case = released(clinic)
    said = shown(client, case)
    Patient.objects.update(user=UserFactory(email="anna@home.example"))

    client.post(address(case), {**said, "email": "stranger@home.example"})

    assert Patient.objects.get().email == "anna@home.example"


@pytest.mark.parametrize("role", ["annotator", "operator"])
def test_only_a_provider_corrects_a_patient(client: Client, clinic: Organisation, role: str) -> None:
    case = released(clinic)
    client.force_login(MembershipFactory(organisation=clinic, role=role).user)
    assert client.get(address(case)).status_code == 403
    assert client.post(address(case), {"email": "new@home.example"}).status_code == 403
    assert Patient.objects.get().email == "anna@home.example"


def test_nobody_corrects_the_patient_of_another_clinic_or_of_an_erased_case(
    client: Client, clinic: Organisation
) -> None:
    case, theirs = released(clinic), released(MembershipFactory().organisation)
    said = shown(client, case)
    erase_case(actor=SYSTEM, case=case)
    for other in (case, theirs):
        assert client.get(address(other)).status_code == 404
        assert client.post(address(other), {**said, "email": "new@home.example"}).status_code == 404
    assert not Patient.objects.filter(email="new@home.example").exists()
