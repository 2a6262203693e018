"""What people and their software see of deleted photos: a date in their place, the results, nothing broken."""

import csv
import io

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    ConsensusFactory,
    ImageFactory,
    LabelFactory,
    MembershipFactory,
    ReleaseFactory,
)
from tests.webapp.api.clinic import Clinic, good, problem
from tests.webapp.reports.pdf import text
from tests.webapp.reports.scenes import answered
from webapp import storage
from webapp.accounts.models import Membership
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Case, Image
from webapp.cases.retention import delete_photos

pytestmark = pytest.mark.django_db


def deleted(member: Membership, *, pictures: int = 1) -> Case:
    """A case with a result whose photos were deleted; of a file that could not be, nobody sees anything."""
    case = answered(BatchFactory(completed=True, organisation=member.organisation), pictures=pictures)
    delete_photos(actor=SYSTEM, case=case)
    for image in case.images.all():
        storage.write(image.clean_key, b"left behind")
    return case


def test_a_provider_deletes_the_photos_of_a_case(client: Browser, provider: Membership) -> None:
    case = answered(BatchFactory(completed=True, organisation=provider.organisation), pictures=2)
    address = reverse("cases:case", args=[case.pk])
    assert "All photos of this case" in client.get(address).content.decode()

    page = client.post(f"{address}photos/delete/?list=to_review", follow=True)

    html = page.content.decode()
    assert page.redirect_chain[-1][0] == f"{address}?list=to_review"
    assert set(Image.objects.values_list("state", flat=True)) == {"purged"}
    assert Event.objects.get(action="case.photos_deleted").user == provider.user
    for words in ("The photos of this case were deleted", "Deleted", "Case photos deleted", "74%", "On its own"):
        assert words in html, words
    for gone in ("<img", "for good", "heatmap-toggle"):
        assert gone not in html, gone
    assert html.count(f"{timezone.localtime(case.images.all()[0].ended_at):%H:%M}</time>") >= 2


@pytest.mark.parametrize("role", ["annotator", "operator"])
def test_others_of_the_clinic_may_not(client: Browser, role: str) -> None:
    member = MembershipFactory(role=role)
    client.force_login(member.user)
    image = ImageFactory(case__batch__organisation=member.organisation, ready=True)

    assert client.post(reverse("cases:case_photos_delete", args=[image.case_id])).status_code == 403
    assert client.get(reverse("cases:case_photos_delete", args=[image.case_id])).status_code == 403
    assert Image.objects.get().state == "ready"


def test_a_link_alone_deletes_nothing(client: Browser, provider: Membership) -> None:
    image = ImageFactory(case__batch__organisation=provider.organisation, ready=True)

    assert client.get(reverse("cases:case_photos_delete", args=[image.case_id])).status_code == 405
    assert Image.objects.get().state == "ready"


def test_software_deletes_the_photos_of_a_case() -> None:
    case = answered(pictures=2)
    clinic = Clinic(case.organisation)

    for _ in range(2):
        told = good(clinic.http.delete(f"/api/v1/cases/{case.pk}/photos"))

    assert [image["state"] for image in told["images"]] == ["purged"] * 2
    for image in told["images"]:
        assert image["deleted_at"]
        assert (image["image_url"], image["heatmap_url"]) == (None, None)
        assert image["result"]["malignant"] == 0.74
        assert good(clinic.get(f"/images/{image['id']}"))["deleted_at"] == image["deleted_at"]
    assert told["result"]["malignant"] == 0.74
    assert Event.objects.get(action="case.photos_deleted").api_key == clinic.key


def test_software_of_another_clinic_does_not() -> None:
    case = answered()

    assert problem(Clinic().http.delete(f"/api/v1/cases/{case.pk}/photos"), 404)
    assert Image.objects.get().state == "ready"


def test_no_picture_is_served_even_where_a_file_was_left_behind(client: Browser, provider: Membership) -> None:
    image = deleted(provider).images.get()
    clinic = Clinic(provider.organisation)
    listed = good(clinic.get(f"/batches/{image.batch_id}/images", state="purged"))["results"]

    assert [one["id"] for one in listed] == [str(image.pk)]
    for kind in ("clean", "heatmap"):
        assert problem(clinic.get(f"/images/{image.pk}/{kind}"), 404)
    for kind in ("clean", "thumbnail", "heatmap"):
        assert client.get(reverse("cases:image_file", args=[image.pk, kind])).status_code == 404


def test_the_batchs_page_has_no_broken_picture(client: Browser, provider: Membership) -> None:
    case = deleted(provider)

    html = client.get(reverse("cases:batch", args=[case.batch_id])).content.decode()

    assert "Photo deleted" in html
    assert "deleted 1" in html
    assert "<img" not in html


def test_reports_say_that_it_was_deleted(provider: Membership) -> None:
    case = deleted(provider, pictures=2)
    waiting = ImageFactory(case=CaseFactory(batch=case.batch), ready=True)
    delete_photos(actor=SYSTEM, case=waiting.case)
    clinic = Clinic(provider.organisation)

    told = text(clinic.get(f"/cases/{case.pk}/report.pdf").content)
    assert "Deleted, " in told
    assert "On its own" in told
    assert "Heatmap" not in told
    assert "Deleted" in text(clinic.get(f"/cases/{waiting.case_id}/report.pdf").content)
    of_batch = text(clinic.get(f"/batches/{case.batch_id}/report.pdf").content)
    assert "Pictures without a result" in of_batch
    assert "Deleted" in of_batch
    for path in (f"/cases/{case.pk}/fhir", f"/batches/{case.batch_id}/fhir", f"/batches/{case.batch_id}/results.json"):
        assert clinic.get(path).status_code == 200
    table = b"".join(clinic.get(f"/batches/{case.batch_id}/results.csv").streaming_content).decode()
    rows = {row["case"]: row for row in csv.DictReader(io.StringIO(table))}
    assert [rows[str(one)]["images_refused"] for one in (case.pk, waiting.case_id)] == ["", "purged"]
    assert rows[str(case.pk)]["p_malignant"] == "0.74"


def test_a_doubt_about_an_answer_outlives_its_photo(client: Browser, provider: Membership) -> None:
    case = answered(BatchFactory(completed=True, organisation=provider.organisation))
    case.images.update(quality=[{"code": "not_a_lesion", "advice": "Take another."}])
    delete_photos(actor=SYSTEM, case=case)

    assert "saw no lesion in picture 1" in client.get(reverse("cases:case", args=[case.pk])).content.decode()
    bundle = Clinic(provider.organisation).get(f"/cases/{case.pk}/fhir")
    assert b"saw no lesion in picture 1" in b"".join(bundle.streaming_content)


def test_annotators_are_shown_none(client: Browser) -> None:
    member = MembershipFactory(role="annotator")
    client.force_login(member.user)
    case = CaseFactory(batch__organisation=member.organisation)
    disagreed, agreed = ImageFactory.create_batch(2, case=case, ready=True)
    for image in (disagreed, agreed):
        LabelFactory(image=image, annotator=member.user)
    LabelFactory.create_batch(2, image=disagreed)
    ConsensusFactory(image=agreed)
    ImageFactory(case=case, ready=True)
    delete_photos(actor=SYSTEM, case=case)

    for page in ("labels:queue", "labels:mine", "labels:disagreements"):
        response = client.get(reverse(page))
        assert response.status_code == 200
        assert "<img" not in response.content.decode(), page
    assert client.get(reverse("labels:mine")).content.decode().count("Deleted") == 2


def test_a_list_of_deleted_photos_costs_no_more_queries(client: Browser, provider: Membership) -> None:
    batch = BatchFactory(completed=True, organisation=provider.organisation)
    ReleaseFactory(active=True)
    page = reverse("cases:batch", args=[batch.pk])
    client.get(page)  # the first look is recorded, those of the next minutes are not
    counts = []
    for _ in range(2):
        for _ in range(3):
            delete_photos(actor=SYSTEM, case=answered(batch))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_case_that_waits_for_a_clinician_again_says_that_its_photo_was_deleted(client: Browser) -> None:
    member = MembershipFactory(role="provider")
    case = deleted(member)
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now(), raised_at=timezone.now())
    client.force_login(member.user)

    page = client.get(reverse("cases:to_review")).content.decode()

    assert "Photo deleted" in page.partition("More urgent since their release")[2]
