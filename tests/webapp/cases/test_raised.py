"""A result that its patient has read, and that a later answer is more urgent than: everybody concerned is told."""

from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory, ImageFactory, MembershipFactory, UserFactory
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Case
from webapp.cases.review import release_case

pytestmark = pytest.mark.django_db
LIST = reverse("cases:to_review")
SAID_TO_PATIENT = "Checked again since. Ask your clinic."


def released(clinic: Organisation, advice: str, name: str = "A-1") -> Case:
    """A case whose patient has read this advice."""
    case: Case = CaseFactory(
        batch=BatchFactory(organisation=clinic, completed=True), external_id=name, patient__user=UserFactory()
    )
    ImageFactory(case=case, ready=True)
    CaseResultFactory(case=case, advice=advice, malignant=0.03)
    return release_case(actor=SYSTEM, case=case)


def looked_again(client: Client, case: Case, raised_at: object) -> str:
    return client.post(f"/cases/{case.pk}/looked-again/", {"raised_at": raised_at}, follow=True).content.decode()


@pytest.mark.parametrize(
    ("given", "later", "raised"),
    [
        ("self_monitor", "routine_referral", True),
        ("routine_referral", "urgent_referral", True),
        ("routine_referral", "routine_referral", False),
        ("urgent_referral", "self_monitor", False),
    ],
)
def test_a_case_waits_where_a_later_answer_is_more_urgent(
    client: Client, clinic: Organisation, given: str, later: str, raised: bool
) -> None:
    case = released(clinic, given)
    newer = CaseResultFactory(case=case, advice=later)
    case.refresh_from_db()
    assert case.raised_at == (newer.created_at if raised else None)
    assert case.advice == given
    html = client.get(LIST).content.decode()
    assert (f"/cases/{case.pk}/" in html) == ("More urgent since their release" in html) == raised
    assert ('badge bg-blue-lt ms-1">1<' in html) == raised
    assert ("I have looked at it again" in client.get(f"/cases/{case.pk}/").content.decode()) == raised
    assert ("More urgent since" in client.get(f"/batches/{case.batch_id}/").content.decode()) == raised


def test_those_of_a_batch_are_found_on_its_page(client: Client, clinic: Organisation) -> None:
    """As who had it scored by a newer release asks: for whom does that change anything?"""
    case = released(clinic, "self_monitor")
    CaseResultFactory(case=CaseFactory(batch=case.batch), advice="urgent_referral")
    CaseResultFactory(case=case, advice="routine_referral")

    page = client.get(f"/batches/{case.batch_id}/", {"review": "again"})

    assert page.context["page"].rows == [case]
    assert '<option value="again" selected>To review again' in page.content.decode()


def test_of_several_answers_since_the_most_urgent_is_shown(client: Client, clinic: Organisation) -> None:
    case = released(clinic, "self_monitor")
    CaseResultFactory(case=case, advice="routine_referral", malignant=0.31)
    urgent = CaseResultFactory(case=case, advice="urgent_referral", malignant=0.77)
    CaseResultFactory(case=case, advice="routine_referral", malignant=0.32)
    CaseResultFactory(case=case, advice="self_monitor", malignant=0.02)
    case.refresh_from_db()
    assert case.raised_at == urgent.created_at
    page = client.get(LIST)
    assert [case.more_urgent for case in page.context["raised"]] == [[urgent]]
    assert "77%" in page.content.decode()


def test_a_case_that_is_not_released_takes_the_later_answer(clinic: Organisation) -> None:
    case = CaseFactory(batch__organisation=clinic)
    CaseResultFactory(case=case, advice="self_monitor")
    CaseResultFactory(case=case, advice="urgent_referral")
    assert (case.advice, case.raised_at) == ("urgent_referral", None)


def test_the_patient_is_told_without_the_finding_until_the_clinic_has_looked(
    client: Client, clinic: Organisation
) -> None:
    case = released(clinic, "self_monitor")
    CaseResultFactory(case=case, advice="urgent_referral", malignant=0.9)
    patient = Client()
    assert case.patient.user is not None
    patient.force_login(case.patient.user)
    pages = ("/my/", f"/my/cases/{case.pk}/")
    for address in pages:
        html = patient.get(address).content.decode()
        assert SAID_TO_PATIENT in html
        assert "within 2 weeks" not in html
        assert "about 90" not in html

    case.refresh_from_db()
    assert case.raised_at is not None
    assert "no longer waits for review" in looked_again(client, case, case.raised_at.isoformat())

    for address in pages:
        assert SAID_TO_PATIENT not in patient.get(address).content.decode()
    assert "More urgent since" not in client.get(LIST).content.decode()
    assert Event.objects.filter(action="case.looked_at_again", object_id=str(case.pk), organisation=clinic).count() == 1


def test_an_answer_that_came_after_the_page_was_read_still_waits(client: Client, clinic: Organisation) -> None:
    case = released(clinic, "self_monitor")
    first = CaseResultFactory(case=case, advice="routine_referral")
    CaseResultFactory(case=case, advice="urgent_referral")
    for read in (first.created_at.isoformat(), "", "yesterday"):
        assert "Another answer has come since" in looked_again(client, case, read)
    case.refresh_from_db()
    assert case.raised_at is not None
    assert not Event.objects.filter(action="case.looked_at_again").exists()


def test_another_clinics_case_is_not_there(client: Client, clinic: Organisation) -> None:
    case = released(MembershipFactory().organisation, "self_monitor")
    later = CaseResultFactory(case=case, advice="urgent_referral")
    address, read = f"/cases/{case.pk}/looked-again/", {"raised_at": later.created_at.isoformat()}
    assert client.post(address, read).status_code == 404
    assert "More urgent since" not in client.get(LIST).content.decode()


def test_the_longest_waiting_comes_first_and_many_cost_no_more_queries(
    client: Client, clinic: Organisation, django_assert_max_num_queries: Any
) -> None:
    names = [f"case {number}" for number in range(5)]
    for name in names:
        CaseResultFactory(case=released(clinic, "self_monitor", name), advice="urgent_referral")
    with django_assert_max_num_queries(12):
        answer = client.get(LIST)
    assert [case.external_id for case in answer.context["raised"]] == names


def test_cases_that_were_answered_before_the_column_was_there_are_found(clinic: Organisation) -> None:
    cases = {advice: released(clinic, "routine_referral", advice) for advice in ("urgent_referral", "self_monitor")}
    later = {advice: CaseResultFactory(case=case, advice=advice) for advice, case in cases.items()}
    Case.objects.update(raised_at=None)
    with connection.cursor() as cursor:
        cursor.execute(import_module("webapp.cases.migrations.0019_more_urgent_before").MORE_URGENT)
    assert Case.objects.get(raised_at__isnull=False).raised_at == later["urgent_referral"].created_at
