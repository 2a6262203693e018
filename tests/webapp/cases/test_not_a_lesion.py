"""How people and programs are told that the model saw no lesion in a picture, and how a provider insists."""

import csv
import io
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from ml.classes import CLASSES, DISPLAY_NAMES
from tests.factories import BatchFactory, CaseFactory, ImageFactory, MembershipFactory, ReleaseFactory, UserFactory
from tests.webapp.api import clinic as software
from tests.webapp.api.clinic import good, problem
from tests.webapp.inference.scenes import answer_all
from webapp import storage
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.refused import FOR_CLINICS
from webapp.cases.review import release_case
from webapp.cases.services import cancel_batch, submit_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.services import RETAKE, finish
from workers.delivery import deliver

TOLD = FOR_CLINICS[NOT_A_LESION]
pytestmark = pytest.mark.django_db(transaction=True)


def sent(images: int, source: str = Batch.Source.WEB, **fields: Any) -> Case:
    """A submitted case, with the model having seen no lesion in its first picture and waiting to answer the others."""
    batch = BatchFactory(source=source, **fields)
    case: Case = CaseFactory(batch=batch, patient__user=UserFactory(), external_id="A-1")
    for number in range(images):
        image = ImageFactory(case=case, ready=True, filename=f"picture-{number}.jpg")
        storage.write(image.clean_key, b"pixels")
    submit_batch(actor=SYSTEM, batch=batch)
    token, [job] = claim_jobs(limit=1)
    assert finish(token=token, ends=[(job, NOT_A_LESION)])
    return case


def first(case: Case) -> Image:
    return case.images.get(filename="picture-0.jpg")


def page(client: Client, name: str, *args: object) -> str:
    response = client.get(reverse(name, args=args))
    assert response.status_code == 200
    return response.content.decode()


def test_a_provider_reads_what_happened_and_insists(client: Client) -> None:
    case = sent(1)
    client.force_login(MembershipFactory(organisation=case.organisation).user)

    batch_page, case_page = page(client, "cases:batch", case.batch_id), page(client, "cases:case", case.pk)
    for html in (batch_page, case_page):
        assert TOLD in html
        assert "Not usable" in html
    assert "1 without a result" in batch_page
    assert "No picture of this case could be used" in case_page
    assert batch_page.count("Insist on an answer") == 1

    again = client.post(reverse("cases:image_override", args=[first(case).pk]), follow=True).content.decode()
    assert "You have insisted on an answer about picture-0.jpg" in again
    assert "In progress" in again
    answer_all(ReleaseFactory(active=True))
    case_page = page(client, "cases:case", case.pk)
    assert "P(malignant)" in case_page
    assert "do not rely on its numbers" in case_page
    assert TOLD in case_page
    assert "Used against the advice" in case_page


def test_software_is_given_the_reason_and_may_insist() -> None:
    clinic = software.Clinic()
    case = sent(2, organisation=clinic.organisation)
    answer_all(ReleaseFactory(active=True))
    url = f"/batches/{case.batch_id}"

    detail = good(clinic.get(url))
    assert (detail["state"], detail["failures"]) == ("completed_with_failures", 1)
    assert (detail["progress"]["images"]["rejected"], detail["progress"]["jobs"]["failed"]) == (1, 1)
    found = good(clinic.get(f"/cases/{case.pk}"))
    assert found["result"]["images"] == 1
    [row] = [row for row in found["images"] if row["state"] == "rejected"]
    assert (row["reason"], row["what_to_do"], row["result"], row["heatmap_url"]) == ("not_a_lesion", TOLD, None, None)
    [listed] = good(clinic.get(f"{url}/images", state="rejected"))["results"]
    assert listed["reason"] == "not_a_lesion"
    exported = b"".join(clinic.get(f"{url}/results.csv").streaming_content).decode()
    [line] = csv.DictReader(io.StringIO(exported))
    assert (line["status"], line["images"], line["images_used"]) == ("answered", "2", "1")
    assert (line["images_refused"], line["images_unrecognised"]) == ("not_a_lesion", "0")

    again = good(clinic.post(f"/images/{row['id']}/override-quality"))
    assert (again["state"], again["reason"]) == ("ready", "")
    assert good(clinic.get(url))["progress"]["jobs"]["queued"] == 1


def test_nobody_insists_on_an_image_of_a_cancelled_batch_whatever_the_door(client: Client) -> None:
    clinic = software.Clinic()
    case = sent(2, organisation=clinic.organisation)
    client.force_login(MembershipFactory(organisation=case.organisation).user)
    cancelled = cancel_batch(actor=SYSTEM, batch=case.batch)
    image = first(case)
    assert "Insist on an answer" not in page(client, "cases:batch", case.batch_id)

    refusal = problem(clinic.post(f"/images/{image.pk}/override-quality"), 409)
    pressed = client.post(reverse("cases:image_override", args=[image.pk]), follow=True).content.decode()

    assert refusal["code"] == "batch_cancelled"
    assert refusal["detail"] in pressed
    image.refresh_from_db()
    assert image.state == Image.State.REJECTED
    case.batch.refresh_from_db()
    assert case.batch.failures == cancelled.failures == 1


def test_the_code_is_in_the_documentation(client: Client) -> None:
    assert "not_a_lesion" in client.get("/api/v1/schema").content.decode()


def test_a_patient_is_told_plainly_and_asked_for_another_photo(client: Client) -> None:
    case = sent(1, Batch.Source.PATIENT)
    assert case.patient.user is not None
    client.force_login(case.patient.user)

    html = page(client, "patient:case", case.pk)
    assert RETAKE in html
    assert "This says nothing about the spot itself." in html
    assert "Take the photo again" in html
    assert "hx-get" not in html  # nothing is waited for any more
    for finding in (*DISPLAY_NAMES.values(), "not_a_lesion", "cancer"):
        assert finding not in html
    assert "New photo needed" in page(client, "patient:home")

    deliver()
    [letter] = mail.outbox
    assert letter.to == [case.patient.email]
    said = f"{letter.subject} {letter.body}"
    assert "take a new photo" in said
    for finding in (*CLASSES, *DISPLAY_NAMES.values(), "cancer", "lesion.", "not_a_lesion"):
        assert finding not in said


def test_a_patient_with_one_good_photo_reads_its_result_and_that_one_could_not_be_used(client: Client) -> None:
    case = sent(2, Batch.Source.PATIENT)
    answer_all(ReleaseFactory(active=True))
    release_case(actor=Actor(user=UserFactory()), case=case)
    assert case.patient.user is not None
    client.force_login(case.patient.user)

    html = page(client, "patient:case", case.pk)
    assert "We could not use 1 of your photos. The result comes from the other." in html
    assert f"/photos/{first(case).pk}/" not in html
