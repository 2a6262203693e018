"""A patient deletes photos that they have sent; what a clinic took itself is the clinic's."""

from datetime import date

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import CaseFactory, CaseResultFactory, ImageFactory, PatientFactory, UserFactory
from webapp import storage
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Case, Image
from webapp.cases.retention import delete_photos
from webapp.notify.links import make_result_link

pytestmark = pytest.mark.django_db


def sent_by(patient: Patient, *, source: str = Batch.Source.PATIENT, photos: int = 1) -> Case:
    """A case of photos that were checked and wait for the model."""
    case: Case = CaseFactory(
        patient=patient, batch__organisation=patient.organisation, batch__source=source, batch__submitted=True,
        batch__remaining=photos,
    )  # fmt: skip
    for image in ImageFactory.create_batch(photos, case=case, stored=True):
        storage.write(image.upload_key, b"skin")
    return case


def page(client: Client, case: Case) -> str:
    response = client.get(f"/my/cases/{case.pk}/")
    assert response.status_code == 200
    return response.content.decode()


def test_a_photo_that_is_being_checked_is_deleted(client: Client, patient: Patient) -> None:
    case = sent_by(patient, photos=2)
    assert "Delete my photos" in page(client, case)
    assert "no result" in page(client, case)

    for _ in range(2):
        assert client.post(f"/my/cases/{case.pk}/photos/delete/", follow=True).status_code == 200

    assert set(Image.objects.values_list("state", flat=True)) == {"purged"}
    assert not any(storage.size(image.upload_key) for image in case.images.all())
    assert Event.objects.get(action="case.photos_deleted").user == patient.user
    html = page(client, case)
    assert "Your photos were deleted" in html
    assert f"deleted on {timezone.localdate():%-d %B %Y}" in html
    assert "Delete my photo" not in html
    assert "Your photos were deleted" in client.get("/my/").content.decode()


@pytest.mark.parametrize("released", [False, True])
def test_the_result_stays(client: Client, patient: Patient, released: bool) -> None:
    case = sent_by(patient)
    case.images.update(state="ready", ended_at=timezone.now(), sha256="a" * 64, width=600, height=450)
    CaseResultFactory(case=case)
    if released:
        Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
    assert ("Your result stays" if released else "keeps the result") in page(client, case)

    told = client.post(f"/my/cases/{case.pk}/photos/delete/", follow=True)
    assert "Your photo was deleted for good." in told.content.decode()

    html = page(client, case)
    assert ("See a doctor about this spot" if released else "Waiting for your clinic") in html
    assert "Your photo was deleted on" in html
    assert "<img" not in html
    image = case.images.get()
    storage.write(image.clean_key, b"left behind")
    assert client.get(f"/my/cases/{case.pk}/photos/{image.pk}/").status_code == 404


def test_a_clinics_own_photo_is_not_the_patients_to_delete(client: Client, patient: Patient) -> None:
    case = sent_by(patient, source=Batch.Source.API)
    assert client.post(f"/my/cases/{case.pk}/photos/delete/").status_code == 404  # not released, so not shown
    CaseResultFactory(case=case)
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now())

    assert "Delete my photo" not in page(client, case)
    client.post(f"/my/cases/{case.pk}/photos/delete/")

    assert Image.objects.get().state == "stored"


def test_anothers_photo_and_a_mere_link_delete_nothing(client: Client, patient: Patient) -> None:
    other = sent_by(PatientFactory(user=UserFactory(), organisation=patient.organisation))
    mine = sent_by(patient)

    assert client.post(f"/my/cases/{other.pk}/photos/delete/").status_code == 404
    assert client.get(f"/my/cases/{mine.pk}/photos/delete/").status_code == 405
    assert Client().post(f"/my/cases/{mine.pk}/photos/delete/").status_code == 302
    assert set(Image.objects.values_list("state", flat=True)) == {"stored"}


def test_what_the_clinic_deleted_is_said_too(client: Client, patient: Patient) -> None:
    case = sent_by(patient)
    delete_photos(actor=SYSTEM, case=case)

    assert "before there was a result" in page(client, case)


@pytest.mark.parametrize(
    ("source", "has_account", "phone", "told"),
    [
        ("patient", True, "01632 960 001", "Sign in to delete it"),
        ("patient", False, "", "Ask Harbour Clinic."),
        ("web", True, "", "Ask Harbour"),
        ("web", True, "01632 960 001", '<a class="fw-bold d-inline-block" href="tel:01632960001">01632 960 001</a>'),
    ],
)
def test_who_reads_by_the_link_is_told_how_the_photo_is_deleted(
    client: Client, source: str, has_account: bool, phone: str, told: str
) -> None:
    user = UserFactory() if has_account else None
    patient = PatientFactory(user=user, organisation__name="Harbour Clinic", date_of_birth=date(1964, 3, 27))
    type(patient.organisation).objects.update(help_phone=phone)
    case = sent_by(patient, source=source)
    case.images.update(state="ready", ended_at=timezone.now(), sha256="a" * 64, width=600, height=450)
    CaseResultFactory(case=case)
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
    asked = client.get(f"/results/{make_result_link(case=case)}/")["Location"]
    html = client.post(asked, {"day": "27", "month": "3", "year": "1964"}, follow=True).content.decode()
    assert told in html.partition("Do you want your photo deleted?")[2]
    assert (f'href="/my/cases/{case.pk}/"' in html) == told.startswith("Sign in")

    delete_photos(actor=SYSTEM, case=case)
    assert "Do you want" not in client.get(f"/results/read/{case.pk}/").content.decode()
