"""A case is found by its own id or its patient's, across all batches, and what was sought stays secret."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    MembershipFactory,
    OrganisationFactory,
    PatientFactory,
)
from webapp.accounts.models import Organisation, Patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases import search
from webapp.cases.erasure import erase_case
from webapp.cases.models import Batch, Case

pytestmark = pytest.mark.django_db
FIND = reverse("cases:find")


def called(clinic: Organisation, name: str, patients: str = "", **fields: Any) -> Case:
    """A case in a batch of its own, and its patient's id."""
    who = {"patient__external_id": patients} if patients else {}
    made: Case = CaseFactory(batch=BatchFactory(organisation=clinic, completed=True), external_id=name, **who, **fields)
    return made


def names(client: Client, words: str) -> list[str]:
    found = client.post(FIND, {"q": words}, follow=True).context["cases"]
    return [case.external_id for case in found]


def test_a_case_is_found_by_its_id_or_its_patients_whole_or_by_how_it_begins(
    client: Client, clinic: Organisation
) -> None:
    longer, whole = called(clinic, "A-70"), called(clinic, "A-7")
    newer = called(clinic, "A-7")
    anna = PatientFactory(organisation=clinic, external_id="Á-7 Nguyễn")
    for name in ("left", "right"):
        called(clinic, name, patient=anna)
    called(MembershipFactory().organisation, "A-7", "Á-7 Nguyễn")

    assert names(client, "A-7") == ["A-7", "A-7", "A-70"]
    assert [case.pk for case in search.search_cases(clinic, "a-7")] == [newer.pk, whole.pk, longer.pk]
    assert names(client, "  a-70 ") == ["A-70"]
    assert names(client, "á-7 nguyễn") == names(client, "A\u0301-7") == ["right", "left"]
    for nothing in ("-7", "A_7", "A%", "A-7\\", "ä", "", " ", "\0", "x" * 500):
        assert names(client, nothing) == []


def test_whoever_calls_without_knowing_an_id_is_found_by_their_whole_address(
    client: Client, clinic: Organisation
) -> None:
    anna = PatientFactory(organisation=clinic, external_id="P-1", email="anna@home.example")
    sender = PatientFactory(organisation=clinic, external_id=f"{Patient.UNNAMED}1", email="Anna@home.example")
    for name, patient in (("first", anna), ("second", anna), ("phone-1", sender)):
        called(clinic, name, patient=patient)
    called(clinic, "anna@home.example")  # whatever a clinic calls its cases
    Patient.objects.filter(pk=sender.pk).update(email="new@home.example", clinics_email="Anna@home.example")
    assert names(client, "new@home.example") == ["phone-1"]
    stranger = PatientFactory(email="anna@home.example")
    called(stranger.organisation, "elsewhere", patient=stranger)
    erase_case(actor=SYSTEM, case=called(clinic, "gone", patient=anna))
    found = names(client, " anna@HOME.example ")
    assert found == ["anna@home.example", "second", "first", "phone-1"]
    for part in ("anna", "anna@", "anna@home", "@home.example", "nna@home.example"):
        assert set(names(client, part)) <= {"anna@home.example"}


def test_a_case_that_is_called_as_its_patient_is_listed_once(client: Client, clinic: Organisation) -> None:
    called(clinic, "P-1", "P-1")
    assert names(client, "p") == ["P-1"]


def test_patients_without_a_case_take_nobodys_place(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_RESULTS", 2)
    for number in range(4):
        PatientFactory(organisation=clinic, external_id=f"P-{number}")
    called(clinic, "left", "P-9")
    assert names(client, "P-") == ["left"]


def test_ids_that_are_not_the_clinics_own_are_not_sought(client: Client, clinic: Organisation) -> None:
    erase_case(actor=SYSTEM, case=called(clinic, "left", "P-1"))
    called(clinic, "right", f"{Patient.UNNAMED}1")
    for words in ("erased", "unnamed", "u"):
        assert names(client, words) == []
    assert names(client, "r") == ["right"]


def test_a_row_leads_to_the_case_and_says_of_which_batch_and_patient_it_is(
    client: Client, clinic: Organisation
) -> None:
    case = called(clinic, "IMG_0001", "P-7")
    Batch.objects.update(name="Ward 7")
    CaseResultFactory(case=case)
    html = client.post(FIND, {"q": "P-7"}, follow=True).content.decode()
    assert f'href="{reverse("cases:case", args=[case.pk])}"' in html
    assert f'href="{reverse("cases:batch", args=[case.batch_id])}"' in html
    assert "Ward 7" in html
    assert "Patient P-7" in html
    assert "Urgent referral" in html
    assert "1 case found" in html


def test_where_nothing_is_found_the_page_says_what_to_do(client: Client, clinic: Organisation) -> None:
    empty = client.get(FIND).content.decode()
    assert "autofocus" in empty
    assert "No case is called that" not in empty
    html = client.post(FIND, {"q": "P-7"}, follow=True).content.decode()
    assert "No case is called that" in html
    assert reverse("cases:batches") in html


def test_many_are_cut_and_the_page_says_so(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("search", "views.find"):
        monkeypatch.setattr(f"webapp.cases.{module}.MAX_RESULTS", 2)
    for number in range(3):
        called(clinic, f"A-{number}", f"P-{number}")
    for word in ("a", "p"):
        html = client.post(FIND, {"q": word}, follow=True).content.decode()
        assert "The first 2 cases. There are more" in html
        assert len(re.findall('id="case-', html)) == 2
    assert "1 case found" in client.post(FIND, {"q": "a-2"}, follow=True).content.decode()


def test_what_is_sought_stands_in_no_address(client: Client, clinic: Organisation) -> None:
    called(clinic, "left", "Doe-John")
    response = client.post(FIND, {"q": "Doe-John"}, follow=True)
    [(address, _)] = response.redirect_chain
    assert "Doe" not in address
    assert 'value="Doe-John"' in response.content.decode()
    assert 'value="Doe-John"' in client.get(address).content.decode()  # as who comes back from a case sees it
    for forged in ("Doe-John", "é", address.split("=")[1][:-9]):
        assert "Doe-John" not in client.get(FIND, {"q": forged}).content.decode()
    assert "no-store" in response.headers["Cache-Control"]


def test_the_trail_says_that_somebody_searched_and_which_cases_they_saw_and_not_what_for(
    client: Client, clinic: Organisation
) -> None:
    client.get(FIND)
    seen, _ = called(clinic, "left", "Doe-John"), called(clinic, "other")
    for _ in range(2):
        client.post(FIND, {"q": "Doe"}, follow=True)
    events = Event.objects.filter(organisation=clinic, action__startswith="case.")
    assert [event.object_id for event in events.filter(action="case.viewed")] == [str(seen.pk)]
    assert [event.object_id for event in events.filter(action="case.listed")] == ["search"] * 2
    assert not [event for event in events if "Doe" in event.detail + event.object_id]


@pytest.mark.parametrize("role", ["annotator", "operator"])
def test_only_providers_search(client: Client, role: str) -> None:
    client.force_login(MembershipFactory(role=role).user)
    assert client.post(FIND, {"q": "A"}).status_code == 403


def test_many_cases_cost_no_more_queries(client: Client, clinic: Organisation) -> None:
    def queries() -> int:
        Event.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            client.post(FIND, {"q": "a"}, follow=True)
        return len(captured)

    for number in range(2):
        ImageFactory(case=called(clinic, f"A{number}", f"a{number}"))
    queries()
    one = queries()
    for number in range(10):
        ImageFactory(case=called(clinic, f"A-{number}", f"a-{number}"))
    assert queries() == one


def test_ids_are_read_from_their_indexes_in_their_order(clinic: Organisation) -> None:
    for other in (OrganisationFactory(), clinic):
        for number in range(50):
            called(other, f"A-{number}", f"P-{number}")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE cases_case, accounts_patient")
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    plans = plans_of(clinic, "a-1")
    for index in ("case_called", "patient_called"):
        [plan] = [plan for plan in plans if index in plan]
        assert re.search(r"Index Cond: .*>=.*<", plan), plan
        assert "Sort" not in plan.replace("Incremental Sort", "")
    by_address = "\n".join(plans_of(clinic, "anna@home.example"))
    for index in ("patient_reached", "patient_clinics_email"):
        assert f"Index Scan using {index}" in by_address


def plans_of(clinic: Organisation, words: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        search.search_cases(clinic, words)
    plans = []
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            cursor.execute(f"EXPLAIN {query['sql']}")
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
    return plans
