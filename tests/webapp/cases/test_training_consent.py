"""A clinic says for its patients whether models may learn from their photos: with a case, and afterwards."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import CaseFactory, MembershipFactory, PatientFactory, UserFactory
from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, case, good, problem, send_table
from tests.webapp.cases.zips import complete, expand_next, photo, sent
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.cases.models import Case
from webapp.notify.links import make_result_link
from webapp.notify.models import ResultLink

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def agrees(patient_id: str = "patient-1") -> bool:
    return Patient.objects.get(external_id=patient_id).training_consent


def choose(clinic: Clinic, agreed: bool) -> None:
    good(clinic.post(f"/cases/{Case.objects.earliest('created_at').pk}/training-consent", {"training_consent": agreed}))


def zip_that_says(answer: str) -> bytes:
    table = f"case_id,patient_id,images,training_consent\na,patient-1,a.jpg,{answer}\n"
    return zipped({"cases.csv": table.encode(), "a.jpg": photo()})


@pytest.mark.parametrize(
    ("said", "held"),
    [({}, True), ({"training_consent": None}, True), ({"training_consent": True}, True)]
    + [({"training_consent": no}, False) for no in (False, "no", "No", "false")],
)
def test_a_new_patient_agrees_unless_the_clinic_says_no(clinic: Clinic, said: dict[str, Any], held: bool) -> None:
    made = clinic.create(case(**said))
    assert agrees() is held
    [listed] = good(clinic.get("/cases", batch=made["id"]))["results"]
    assert good(clinic.get(f"/cases/{listed['id']}"))["training_consent"] is held


def test_a_table_says_it_in_a_column(clinic: Clinic) -> None:
    table = "case_id,patient_id,images,training_consent\na,A,a.jpg,yes\nb,B,b.jpg,NO\nc,C,c.jpg,\nd,,d.jpg,no\n"
    good(send_table(clinic, table), 201)
    assert {name: agrees(name) for name in "ABC"} == {"A": True, "B": False, "C": True}
    assert not Case.objects.get(external_id="d").patient.training_consent  # also of one who is not named


@pytest.mark.parametrize("said", ["perhaps", "unknown", 1, "n/a"])
def test_what_is_neither_yes_nor_no_is_refused(clinic: Clinic, said: object) -> None:
    refused = problem(clinic.post("/batches", {"cases": [case(training_consent=said)]}), 422)
    assert [(row["field"], row["code"]) for row in refused["errors"]] == [("training_consent", "consent_invalid")]
    assert not Patient.objects.exists()


def test_what_is_said_last_holds_and_of_one_request_a_refusal(clinic: Clinic) -> None:
    clinic.create(case("1"))
    for said, held in (({"training_consent": False}, False), ({}, False), ({"training_consent": True}, True)):
        clinic.create(case("1", **said))
        assert agrees() is held
    clinic.create(case("1", training_consent=False), case("2", training_consent=True), case("3"))
    assert not agrees()


def test_a_clinic_refuses_for_a_patient_with_an_account_and_does_not_agree_for_them(clinic: Clinic) -> None:
    PatientFactory(organisation=clinic.organisation, external_id="patient-1", user=UserFactory())
    clinic.create(case("1", training_consent=False))
    assert not agrees()
    clinic.create(case("1", training_consent=True))
    assert not agrees()


def test_further_cases_that_say_something_else_are_no_repeat(clinic: Clinic) -> None:
    path = f"/batches/{clinic.create(case('first'))['id']}/cases"
    good(clinic.post(path, {"cases": [case("a", training_consent=True)]}), 201)
    good(clinic.post(path, {"cases": [case("a", training_consent=True)]}), 200)
    assert problem(clinic.post(path, {"cases": [case("a", training_consent=False)]}), 422)["code"] == "case_id_repeated"
    assert agrees()


def test_a_request_that_says_both_of_one_patient_may_be_repeated(clinic: Clinic) -> None:
    path = f"/batches/{clinic.create(case('first'))['id']}/cases"
    both = {"cases": [case("a", training_consent=True), case("b", training_consent=False)]}
    for status in (201, 200):
        good(clinic.post(path, both), status)
        assert not agrees()


def test_a_repeat_takes_back_no_refusal_that_came_since(clinic: Clinic) -> None:
    path = f"/batches/{clinic.create(case('first'))['id']}/cases"
    said = {"cases": [case("a", training_consent=True)]}
    good(clinic.post(path, said), 201)
    good(clinic.post(f"/cases/{Case.objects.get(external_id='a').pk}/training-consent", {"training_consent": False}))
    good(clinic.post(path, said), 200)
    assert not agrees()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("before", "since"), [("yes", False), ("no", True)])
def test_a_zip_takes_back_nothing_that_was_said_after_it_was_sent(clinic: Clinic, before: str, since: bool) -> None:
    clinic.create(case())
    sent(clinic, zip_that_says(before))
    choose(clinic, since)
    expand_next()
    assert agrees() is since


@pytest.mark.django_db(transaction=True)
def test_a_zip_takes_back_no_refusal_that_another_batch_has_brought_since(clinic: Clinic) -> None:
    clinic.create(case(training_consent=False))
    sent(clinic, zip_that_says("yes"))
    clinic.create(case("2", training_consent=False))  # said again, so it is no older one
    expand_next()
    assert not agrees()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("inside", "meanwhile"), [("yes", False), ("no", True)])
def test_of_a_zip_and_of_what_was_said_while_it_was_on_its_way_a_refusal_holds(
    clinic: Clinic, inside: str, meanwhile: bool
) -> None:
    clinic.create(case())
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    choose(clinic, meanwhile)
    complete(clinic, batch, zip_that_says(inside))
    expand_next()
    assert not agrees()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("before", "inside"), [(False, "yes"), (True, "no")])
def test_a_zip_that_is_announced_afterwards_is_what_was_said_last(clinic: Clinic, before: bool, inside: str) -> None:
    clinic.create(case())
    choose(clinic, before)
    sent(clinic, zip_that_says(inside))
    expand_next()
    assert agrees() is not before


def test_it_lets_nobody_try_another_date_of_birth(clinic: Clinic) -> None:
    clinic.create(case())
    make_result_link(case=Case.objects.get())
    ResultLink.objects.update(tries_left=0)
    clinic.create(case("1", training_consent=False))
    assert (agrees(), ResultLink.objects.get().tries_left) == (False, 0)


def test_software_withdraws_it_without_another_case(clinic: Clinic) -> None:
    clinic.create(case())
    path = f"/cases/{Case.objects.get().pk}/training-consent"
    for agreed in (False, False, True):
        assert good(clinic.post(path, {"training_consent": agreed}))["training_consent"] is agreed
        assert agrees() is agreed
    events = Event.objects.filter(action="patient.training_consent").order_by("pk")
    assert [(event.detail, event.api_key) for event in events] == [("no", clinic.key), ("yes", clinic.key)]
    assert problem(clinic.post(path, {}), 400)["code"] == "invalid"
    Patient.objects.update(user=UserFactory())
    good(clinic.post(path, {"training_consent": False}))
    assert problem(clinic.post(path, {"training_consent": True}), 409)["code"] == "patients_own_choice"
    assert not agrees()


def test_a_provider_says_it_on_the_cases_page(client: Client) -> None:
    found = CaseFactory()
    client.force_login(MembershipFactory(organisation=found.organisation).user)
    page, said = reverse("cases:case", args=[found.pk]), reverse("cases:case_training_consent", args=[found.pk])
    for form, agreed in (({}, False), ({"agreed": "yes"}, True), ({}, False)):
        assert said in client.get(page).content.decode()
        assert client.post(said, form)["Location"] == page
        found.patient.refresh_from_db()
        assert found.patient.training_consent is agreed
    Patient.objects.update(user=UserFactory())
    assert said not in client.get(page).content.decode()
    assert "has an account" in client.post(said, {"agreed": "yes"}, follow=True).content.decode()
    found.patient.refresh_from_db()
    assert not found.patient.training_consent
