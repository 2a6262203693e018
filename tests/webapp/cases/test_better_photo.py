"""A patient who was asked for a better photo has some days to send one, before the clinic is asked to see to it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, ImageFactory, MessageFactory, PatientFactory
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Case
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db
LIST = reverse("cases:to_review")
NOW = timezone.now()
REJECTED = {"state": "rejected", "reason": "blurred", "advice": "Hold still.", "ended_at": NOW}
SENT = {"state": "sent", "sent_at": NOW}


def refused(
    clinic: Organisation, *images: dict[str, Any], letter: dict[str, Any] | None = SENT, source: str = "patient"
) -> Case:
    """A patient's case of which no photo had a result, and whose patient was written to unless `letter` is None."""
    ended = {"state": Batch.State.COMPLETED_WITH_FAILURES, "submitted_at": NOW, "finished_at": NOW}
    batch = BatchFactory(organisation=clinic, source=source, **ended)
    case: Case = CaseFactory(batch=batch, patient=PatientFactory(organisation=clinic), lesion_id="spot")
    for fields in images or (REJECTED,):
        ImageFactory(case=case, **fields)
    if letter is not None:
        MessageFactory(case=case, kind=Message.Kind.IMAGE_UNUSABLE, **letter)
    return case


def listed(client: Client) -> tuple[int, int]:
    """How many cases are listed as without a result, and how many as waiting for a better photo."""
    context = client.get(LIST).context
    return len(context["unanswered"]), len(context["awaiting_photo"])


def test_a_blurred_photo_stands_apart_and_is_not_counted_while_its_patient_may_send_another(
    client: Client, clinic: Organisation
) -> None:
    case = refused(clinic)

    html = client.get(LIST).content.decode()
    assert listed(client) == (0, 1)
    assert "Waiting for a better photo from the patient (1)" in html
    assert "Nothing waits for review" in html
    assert "badge bg-blue-lt" not in html

    Batch.objects.update(finished_at=NOW - timedelta(days=3, minutes=1))
    html = client.get(LIST).content.decode()
    assert listed(client) == (1, 0)
    assert "Cases without a result (1)" in html
    assert 'badge bg-blue-lt ms-1">1<' in html
    assert case.external_id in html


@pytest.mark.parametrize("letter", [{"state": "pending"}, SENT])
def test_a_letter_that_waits_has_asked_as_one_that_was_sent(
    client: Client, clinic: Organisation, letter: dict[str, Any]
) -> None:
    refused(clinic, letter=letter)
    assert listed(client) == (0, 1)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], {"letter": {"state": "failed", "error": "refused"}}),
        ([], {"letter": None}),
        ([], {"source": "web"}),
        ([{"ready": True}], {}),
        ([REJECTED, {"ready": True}], {}),
        ([{**REJECTED, "reason": "inspection_failed"}], {}),
        ([{**REJECTED, "reason": "storage_refused"}], {}),
    ],
    ids=["letter failed", "no letter", "a clinic's", "no answer", "one no answer", "check failed", "storage"],
)
def test_what_the_patient_does_not_know_or_cannot_mend_is_the_clinics_at_once(
    client: Client, clinic: Organisation, images: list[dict[str, Any]], said: dict[str, Any]
) -> None:
    refused(clinic, *images, **said)
    assert listed(client) == (1, 0)


def test_somebody_may_see_to_it_before(client: Client, clinic: Organisation) -> None:
    case = refused(clinic)
    client.post(reverse("cases:seen_to"), {"case": str(case.pk)})
    assert listed(client) == (0, 0)


def test_with_filters_it_is_not_listed(client: Client, clinic: Organisation) -> None:
    refused(clinic)
    assert client.get(LIST, {"source": "patient"}).context["awaiting_photo"] == []


def test_as_many_are_listed_in_as_many_queries(
    client: Client, clinic: Organisation, django_assert_max_num_queries: Any
) -> None:
    for _ in range(60):
        refused(clinic)
    with django_assert_max_num_queries(20):
        assert "Waiting for a better photo from the patient (the first 50 shown)" in client.get(LIST).content.decode()
