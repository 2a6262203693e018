"""A case that will have no result: its page says so, and what to do."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, ImageFactory
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Case

pytestmark = pytest.mark.django_db
ENDED = {"state": Batch.State.COMPLETED_WITH_FAILURES, "submitted_at": timezone.now(), "finished_at": timezone.now()}
IMAGES = {
    "expired": {"state": "expired", "ended_at": timezone.now()},
    "rejected": {"state": "rejected", "reason": "blurred", "ended_at": timezone.now()},
    "no_result": {"ready": True},
}


def without_result(clinic: Organisation, *stages: str, name: str = "C-057") -> Case:
    """A case of a batch that has ended, with an image for each of these stages."""
    case: Case = CaseFactory(batch=BatchFactory(organisation=clinic, **ENDED), external_id=name)
    for stage in stages:
        ImageFactory(case=case, **IMAGES[stage])
    return case


def page(client: Client, case: Case) -> str:
    return client.get(reverse("cases:case", args=[case.pk])).content.decode()


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (["expired"], "No picture arrived, so there will be no result. Send it in a new batch."),
        (["expired", "rejected"], "No picture of this case could be used."),
        (["no_result"], "there will be no result unless it is asked once more"),
    ],
)
def test_a_case_that_will_have_no_result_does_not_say_that_one_comes(
    client: Client, clinic: Organisation, stages: list[str], said: str
) -> None:
    html = page(client, without_result(clinic, *stages))
    assert said in html
    assert "There is nothing to release." in html
    for hopeful in ("no result yet", "once it is there"):
        assert hopeful not in html


def test_a_case_that_is_under_way_says_that_a_result_may_come(client: Client, clinic: Organisation) -> None:
    image = ImageFactory(case__batch=BatchFactory(organisation=clinic, submitted=True), ready=True)
    html = page(client, image.case)
    assert "There is no result yet." in html
    assert "A result can be released once it is there." in html


def test_nobody_is_asked_to_delete_a_photo_that_never_arrived(client: Client, clinic: Organisation) -> None:
    never, refused = without_result(clinic, "expired"), without_result(clinic, "expired", "rejected", name="C-067")
    assert "Delete the photo" not in page(client, never)
    assert "Delete the photo of this case" in page(client, refused)
    assert "1 photo" not in client.get(reverse("cases:case_erase", args=[never.pk])).content.decode()


def test_the_filter_for_cases_without_a_result_does_not_promise_one(client: Client, clinic: Organisation) -> None:
    case = without_result(clinic, "expired")
    html = client.get(reverse("cases:batch", args=[case.batch_id]), {"review": "waiting"}).content.decode()
    assert "Without a result</option>" in html
    assert "No result yet" not in html


def test_a_picture_that_never_arrived_is_not_counted_as_done(client: Client, clinic: Organisation) -> None:
    case = without_result(clinic, "expired", "no_result")
    Batch.objects.filter(pk=case.batch_id).update(failures=1)
    html = client.get(reverse("cases:batch", args=[case.batch_id])).content.decode()
    assert "1 of 2 images done, 1 without a result." in html
    assert "usable 1" in html
