"""A case that will have no result: its page says so, and it waits for somebody to see to it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    PatientFactory,
)
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases import selectors
from webapp.cases.erasure import erase_case
from webapp.cases.intake import override_quality
from webapp.cases.models import Batch, Case
from webapp.cases.services import cancel_batch
from webapp.inference.models import Job
from webapp.inference.reruns import rerun_failed

pytestmark = pytest.mark.django_db
LIST = reverse("cases:to_review")
SEEN_TO = reverse("cases:seen_to")
ENDED: dict[str, Any] = {
    "state": Batch.State.COMPLETED_WITH_FAILURES,
    "submitted_at": timezone.now(),
    "finished_at": timezone.now(),
}
IMAGES: dict[str, dict[str, Any]] = {
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


def waiting(client: Client, **query: str) -> list[str]:
    return [case.external_id for case in client.get(LIST, query).context["unanswered"]]


def test_a_case_without_a_result_waits_until_a_person_has_seen_to_it(client: Client, clinic: Organisation) -> None:
    never, refused = without_result(clinic, "expired"), without_result(clinic, "rejected", name="C-067")
    html = client.get(LIST).content.decode()
    assert "Cases without a result" in html
    assert "Nothing waits for review" not in html
    assert 'badge bg-blue-lt ms-1">2<' in html
    assert waiting(client) == ["C-057", "C-067"]
    assert "I have seen to it" in page(client, never)

    told = client.post(SEEN_TO, {"case": str(never.pk)}, follow=True).content.decode()
    assert "1 case without a result no longer waits here." in told
    assert waiting(client) == ["C-067"]
    assert "Somebody saw to it" in page(client, never)
    assert "I have seen to it" not in page(client, never)
    assert "Nothing was changed" in client.post(SEEN_TO, {"case": [str(never.pk), "x"]}, follow=True).content.decode()
    assert Event.objects.filter(action="case.no_result_seen", object_id=str(never.pk), organisation=clinic).count() == 1

    client.post(SEEN_TO, {"case": [str(never.pk), str(refused.pk)]})
    assert waiting(client) == []
    assert "Cases without a result" not in client.get(LIST).content.decode()


def test_what_is_seen_to_and_tried_again_in_vain_waits_again(client: Client, clinic: Organisation) -> None:
    case = without_result(clinic, "no_result")
    JobFactory(image=case.images.get(), batch=case.batch, state="failed", reason="fault", finished_at=timezone.now())
    Batch.objects.update(failures=1)
    client.post(SEEN_TO, {"case": str(case.pk)})
    assert waiting(client) == []

    rerun_failed(actor=SYSTEM, batch=case.batch)
    Job.objects.filter(image__case=case, state="queued").update(
        state="failed", reason="fault", finished_at=timezone.now()
    )
    Batch.objects.update(**ENDED, remaining=0, failures=1)

    assert waiting(client) == ["C-057"]


def test_what_is_insisted_on_in_vain_waits_again(client: Client, clinic: Organisation) -> None:
    case = without_result(clinic, "rejected")
    case.images.update(
        width=200,
        height=150,
        sha256="0" * 64,
        stored_at=timezone.now(),
        quality=[{"code": "blurred", "advice": "Hold still."}],
    )
    Batch.objects.update(failures=1)
    client.post(SEEN_TO, {"case": str(case.pk)})
    assert waiting(client) == []

    override_quality(actor=SYSTEM, image=case.images.get())
    Job.objects.filter(image__case=case).update(state="failed", reason="fault", finished_at=timezone.now())
    Batch.objects.update(**ENDED, remaining=0, failures=1)

    assert waiting(client) == ["C-057"]


def test_what_is_open_under_way_cancelled_answered_or_another_clinics_does_not_wait(
    client: Client, clinic: Organisation
) -> None:
    ImageFactory(case__batch=BatchFactory(organisation=clinic), **IMAGES["rejected"])
    ImageFactory(case__batch=BatchFactory(organisation=clinic, submitted=True), **IMAGES["rejected"])
    stopped = ImageFactory(case__batch=BatchFactory(organisation=clinic), **IMAGES["rejected"])
    cancel_batch(actor=SYSTEM, batch=stopped.batch)
    CaseResultFactory(case=without_result(clinic, "rejected", "no_result"))
    theirs = without_result(MembershipFactory().organisation, "rejected")
    assert waiting(client) == []
    client.post(SEEN_TO, {"case": str(theirs.pk)})
    theirs.refresh_from_db()
    assert theirs.no_result_seen_at is None


@pytest.mark.parametrize(
    ("newer", "waits"),
    [
        ({"state": "submitted", "submitted_at": timezone.now(), "remaining": 1}, ["first"]),
        (ENDED, ["first", "second"]),
        ({}, ["old", "first"]),
        ({"state": "cancelled", "finished_at": timezone.now()}, ["old", "first"]),
    ],
    ids=["under way", "ended", "open", "cancelled"],
)
def test_a_patients_photo_waits_until_a_newer_one_of_the_spot_takes_its_place(
    client: Client, clinic: Organisation, newer: dict[str, Any], waits: list[str]
) -> None:
    patient = PatientFactory(organisation=clinic)

    def sent(name: str, lesion: str, **batch: Any) -> None:
        made = BatchFactory(organisation=clinic, source="patient", **batch)
        case = CaseFactory(batch=made, patient=patient, lesion_id=lesion, external_id=name)
        ImageFactory(case=case, **IMAGES["rejected"])

    sent("old", "spot", **ENDED)
    sent("first", "another spot", **ENDED)
    sent("second", "spot", **newer)
    assert waiting(client) == waits


def test_the_count_of_a_batch_leads_to_its_cases_without_a_result(client: Client, clinic: Organisation) -> None:
    case = without_result(clinic, "expired")
    CaseResultFactory(case=CaseFactory(batch=case.batch))
    erase_case(actor=SYSTEM, case=CaseFactory(batch=case.batch))
    address = reverse("cases:batch", args=[case.batch_id])
    html = client.get(address).content.decode()
    assert f'href="{address}?review=waiting#cases-heading"' in html
    assert "Without a result <strong>1</strong>" in html
    assert [row.external_id for row in client.get(address, {"review": "waiting"}).context["page"].rows] == ["C-057"]


def test_many_without_a_result_are_seen_to_at_once(client: Client, clinic: Organisation) -> None:
    for number in range(4):
        assert 'id="unanswered">' not in client.get(LIST).content.decode()
        without_result(clinic, "expired", name=f"C-{number}")
    html = client.get(LIST).content.decode()
    assert 'id="unanswered">' in html  # closed: many would hide urgent results below them
    assert "Cases without a result (4)" in html
    assert "I have seen to all 4" in html
    assert waiting(client, q="C-1") == []
    cases = [str(case.pk) for case in selectors.without_result(clinic)]
    told = client.post(SEEN_TO, {"case": cases}, follow=True).content.decode()
    assert "4 cases without a result no longer wait here." in told
    assert waiting(client) == []
