"""What a patient is told while there is no answer, and who sent a photo again."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from tests.factories import CaseFactory, CaseResultFactory, ImageFactory, OrganisationFactory, PatientFactory
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import Batch, Case, Image
from webapp.cases.retention import delete_photos
from webapp.cases.review import release_case
from webapp.cases.services import cancel_batch
from webapp.patients.words import HELP_NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def send(client: Client, patient: Patient, path: str = "/my/photo/") -> Case:
    """A case that the patient sends by the form."""
    file = SimpleUploadedFile("IMG_1.jpg", uuid.uuid4().bytes, content_type="image/jpeg")
    sent = client.post(path, {"key": str(uuid.uuid4()), "clinic": str(patient.pk), "photos": [file]})
    return Case.objects.get(pk=sent["Location"].split("/")[-2])


def refuse(case: Case) -> None:
    """The photo of this case is blurred."""
    now = timezone.now()
    case.images.update(state=Image.State.REJECTED, reason="blurred", advice="Hold still.", ended_at=now)
    Batch.objects.filter(pk=case.batch_id).update(state="completed_with_failures", remaining=0, finished_at=now)


def stop(*, actor: Actor, case: Case) -> None:
    cancel_batch(actor=actor, batch=case.batch)


def test_a_check_that_takes_long_says_so_and_whom_to_call(client: Client, patient: Patient) -> None:
    case = CaseFactory(
        patient=patient, batch__organisation=patient.organisation, batch__source=Batch.Source.PATIENT,
        batch__submitted=True,
    )  # fmt: skip
    ImageFactory(case=case, ready=True)
    address = f"/my/cases/{case.pk}/"
    type(patient.organisation).objects.update(help_phone="01632 960 001")
    assert "a minute or two" in client.get(address).content.decode()
    assert client.get(f"{address}?seen=checking").status_code == 204

    Batch.objects.update(submitted_at=timezone.now() - timedelta(days=1))
    page = client.get(f"{address}?seen=checking").content.decode()
    assert "a minute or two" not in page
    assert "This takes longer than usual." in page
    assert "do not wait. Call" in page
    assert 'href="tel:01632960001"' in page
    assert "We are still checking your photo" in client.get("/my/").content.decode()


def test_the_waiting_page_leads_to_the_result_and_does_not_open_it(client: Client, patient: Patient) -> None:
    case = CaseResultFactory(
        case__patient=patient, case__batch__organisation=patient.organisation, case__batch__source=Batch.Source.PATIENT
    ).case
    release_case(actor=SYSTEM, case=case)
    address = f"/my/cases/{case.pk}/"
    waiting = client.get(address, {"seen": "with_clinic"}).content.decode()
    assert f'href="{address}"' in waiting
    assert "You can read your result" in waiting
    assert "This is not a diagnosis." not in waiting
    assert not Event.objects.filter(action="result.viewed").exists()
    assert "This is not a diagnosis." in client.get(address).content.decode()


def test_a_photo_that_was_sent_again_is_not_asked_for_any_more(client: Client, patient: Patient) -> None:
    first = send(client, patient)
    other = send(client, patient)
    for case in (first, other):
        refuse(case)
    assert client.get("/my/").content.decode().count("New photo needed") == 2

    again = f"/my/cases/{first.pk}/again/"
    assert f'action="{again}"' in client.get(again).content.decode()  # where the new photo says what it is of
    second = send(client, patient, again)
    refuse(second)
    third = send(client, patient, f"/my/cases/{second.pk}/again/")
    for case in (first, second):
        page = client.get(f"/my/cases/{case.pk}/").content.decode()
        assert "You sent a new photo" in page
        assert f'href="/my/cases/{third.pk}/"' in page
        assert "Take the photo again" not in page
    assert "We are checking your photo" in client.get(f"/my/cases/{third.pk}/").content.decode()
    assert "New photo needed" in client.get(f"/my/cases/{other.pk}/").content.decode()
    assert client.get("/my/").content.decode().count("New photo needed") == 1
    assert first.lesion_id == second.lesion_id == third.lesion_id != other.lesion_id


def test_two_clinics_cannot_tell_that_they_have_photos_of_one_spot(client: Client, patient: Patient) -> None:
    first = send(client, patient)
    refuse(first)
    there = PatientFactory(user=patient.user)

    second = send(client, there, f"/my/cases/{first.pk}/again/")

    assert second.organisation == there.organisation != first.organisation
    assert second.lesion_id != first.lesion_id
    assert "Take the photo again" in client.get(f"/my/cases/{first.pk}/").content.decode()


@pytest.mark.parametrize("end", [delete_photos, stop])
def test_a_new_photo_that_came_to_nothing_takes_no_ones_place(
    client: Client, patient: Patient, end: Callable[..., None]
) -> None:
    first = send(client, patient)
    refuse(first)
    second = send(client, patient, f"/my/cases/{first.pk}/again/")
    refuse(second)
    third = send(client, patient, f"/my/cases/{second.pk}/again/")

    end(actor=SYSTEM, case=third)

    assert f'href="/my/cases/{second.pk}/"' in client.get(f"/my/cases/{first.pk}/").content.decode()
    asked = client.get(f"/my/cases/{second.pk}/").content.decode()
    assert "Take the photo again" in asked
    assert "You sent a new photo" not in asked


def test_who_waits_sees_what_they_sent_and_by_what_name_the_clinic_knows_it(client: Client, patient: Patient) -> None:
    case = CaseResultFactory(
        case__patient=patient, case__batch__organisation=patient.organisation, case__batch__source=Batch.Source.PATIENT
    ).case
    image = ImageFactory(case=case, ready=True)
    address = f"/my/cases/{case.pk}/"
    thumbnail = f'src="{address}photos/{image.pk}/thumbnail/"'
    page = client.get(address).content.decode()
    assert "Waiting for your clinic" in page
    assert page.count(thumbnail) == 1
    assert case.external_id in page

    delete_photos(actor=SYSTEM, case=case)
    page = client.get(address).content.decode()
    assert thumbnail not in page
    assert case.external_id in page


def test_pages_before_a_result_say_whom_to_call_in_an_emergency(client: Client, patient: Patient) -> None:
    clinic = OrganisationFactory()
    assert HELP_NOW in Client().get(f"/join/{clinic.slug}/").content.decode()
    for path in (f"/join/{clinic.slug}/", "/my/", "/my/photo/"):
        assert HELP_NOW in client.get(path).content.decode()


def test_who_waits_hears_which_photo_was_of_no_use(client: Client, patient: Patient) -> None:
    """While it is fresh, so that they can send another."""
    case = CaseResultFactory(
        case__patient=patient, case__batch__organisation=patient.organisation, case__batch__source=Batch.Source.PATIENT
    ).case
    ImageFactory(case=case, ready=True)
    dark = ImageFactory(case=case, ready=True)
    damaged = ImageFactory(case=case, stored=True)
    for image, reason in ((dark, "too_dark"), (damaged, "corrupt")):
        Image.objects.filter(pk=image.pk).update(state=Image.State.REJECTED, reason=reason, ended_at=timezone.now())
    page = client.get(f"/my/cases/{case.pk}/").content.decode()

    assert "Waiting for your clinic" in page
    thumbnail = f"/my/cases/{case.pk}/photos/{dark.pk}/thumbnail/"
    told = "We could not use this photo for your result."
    assert page.count(told) == 1
    assert page.index(thumbnail) < page.index(told)
    assert "We could not use photo 3 for your result." in page
