"""What is released is what was read, and no note is lost on the way."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import CaseResultFactory, ImageFactory, MembershipFactory
from tests.webapp.api.clinic import Clinic, problem
from webapp.accounts.models import Membership
from webapp.cases.models import Case
from webapp.inference.models import CaseResult

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(client: Client) -> Membership:
    made: Membership = MembershipFactory()
    client.force_login(made.user)
    return made


@pytest.fixture
def case(member: Membership) -> Case:
    made: Case = CaseResultFactory(case__batch__organisation=member.organisation).case
    ImageFactory(case=made, ready=True)
    return made


def read(client: Client, case: Case) -> str:
    """What the form on the page says of the answer that it shows."""
    html = client.get(reverse("cases:case", args=[case.pk])).content.decode()
    return html.partition('name="result" value="')[2].partition('"')[0]


def release(client: Client, case: Case, result: str, note: str = "Come on Monday.") -> Any:
    return client.post(reverse("cases:case_release", args=[case.pk]), {"result": result, "note": note}, follow=True)


def replace(case: Case, *, same_release: bool) -> None:
    """Another answer holds: of a newer release, or of the same one with a picture more."""
    if same_release:
        CaseResult.objects.filter(case=case).update(advice="self_monitor", created_at=timezone.now())
    else:
        CaseResultFactory(case=case, advice="self_monitor")


@pytest.mark.parametrize("same_release", [True, False])
def test_an_answer_that_came_after_the_reading_is_not_released(client: Client, case: Case, same_release: bool) -> None:
    result = read(client, case)
    replace(case, same_release=same_release)
    page = release(client, case, result)
    case.refresh_from_db()
    assert case.released_at is None
    assert "the answer has changed since you read it" in page.content.decode()
    assert ">Come on Monday.</textarea>" in page.content.decode()
    release(client, case, read(client, case))
    case.refresh_from_db()
    assert (case.released_at is not None, case.review_note) == (True, "Come on Monday.")


def test_the_note_of_the_second_clinician_is_not_dropped_under_a_message_of_success(client: Client, case: Case) -> None:
    result = read(client, case)
    release(client, case, result)
    page = release(client, case, result, note="Stop the ointment.").content.decode()
    case.refresh_from_db()
    assert case.review_note == "Come on Monday."
    assert "Your note was not sent" in page
    assert "Stop the ointment." in page
    assert "is told by e-mail" not in page
    assert "The result was released." in release(client, case, result).content.decode()  # the same press twice


def test_a_note_that_is_too_long_stays_in_its_field(client: Client, case: Case) -> None:
    page = release(client, case, read(client, case), note="x" * 5001)
    assert re.search(rf'<textarea[^>]* maxlength="5000"[^>]*>{"x" * 5001}</textarea>', page.content.decode())


def test_software_may_name_the_answer_that_was_read(case: Case) -> None:
    software = Clinic(case.organisation)
    result = software.get(f"/cases/{case.pk}").json()["result"]["created_at"]
    replace(case, same_release=True)
    assert problem(software.post(f"/cases/{case.pk}/release", {"result": result}), 409)["code"] == "answer_changed"
    result = software.get(f"/cases/{case.pk}").json()["result"]["created_at"]
    for _ in range(2):
        assert software.post(f"/cases/{case.pk}/release", {"result": result}).status_code == 200
    assert (
        problem(software.post(f"/cases/{case.pk}/release", {"note": "And another thing."}), 409)["code"]
        == "already_released"
    )
