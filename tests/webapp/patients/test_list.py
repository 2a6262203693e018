"""A patient's list of photos: each row is told from the others by its photo and its time."""

from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image as Pillow

from tests.factories import CaseFactory, CaseResultFactory, ImageFactory, PatientFactory, UserFactory
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.accounts.models import Patient
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Case, Image
from webapp.cases.review import release_case

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def sent_by(patient: Patient) -> Case:
    """A case of photos that this patient sent."""
    made: Case = CaseFactory(
        patient=patient, batch__organisation=patient.organisation, batch__source=Batch.Source.PATIENT
    )
    return made


def test_photos_of_one_day_are_told_apart(client: Client, patient: Patient) -> None:
    cases = [sent_by(patient) for _ in range(2)]
    day = timezone.now().replace(year=2026, month=3, day=4, minute=5)
    for hour, case in zip((9, 17), cases, strict=True):
        Case.objects.filter(pk=case.pk).update(created_at=day.replace(hour=hour))
    shown = [ImageFactory(case=case, ready=True) for case in cases]
    ImageFactory(case=cases[1], ready=True)
    page = client.get("/my/").content.decode()
    for case, image, said in zip(cases, shown, ("09:05", "17:05"), strict=True):
        assert f'src="/my/cases/{case.pk}/photos/{image.pk}/thumbnail/"' in page
        assert f"4 March 2026 at {said}" in page
    assert page.count('loading="lazy"') == page.count('width="80" height="80"') == 2
    assert page.count("2 photos") == 1


def test_a_photo_that_is_not_checked_or_is_deleted_has_no_thumbnail(client: Client, patient: Patient) -> None:
    ImageFactory(case=sent_by(patient))
    ImageFactory(case=sent_by(patient), state=Image.State.PURGED, ended_at=timezone.now(), width=600, height=450)
    page = client.get("/my/").content.decode()
    assert "/thumbnail/" not in page
    assert page.count("spot-thumb-none") == 2


def test_a_thumbnail_is_small_and_for_its_patient_alone(client: Client, patient: Patient) -> None:
    image = ImageFactory(case=sent_by(patient), ready=True)
    storage.write(image.clean_key, jpeg())
    address = f"/my/cases/{image.case_id}/photos/{image.pk}/thumbnail/"
    answer = client.get(address)
    assert max(Pillow.open(BytesIO(answer.getvalue())).size) <= 320
    assert "no-store" in answer["Cache-Control"]
    other = PatientFactory(user=UserFactory(), organisation=patient.organisation)
    client.force_login(other.user)
    assert client.get(address).status_code == 404
    assert client.get(f"/my/cases/{sent_by(other).pk}/photos/{image.pk}/thumbnail/").status_code == 404


def test_a_result_that_was_opened_is_told_from_one_that_waits_to_be_read(client: Client, patient: Patient) -> None:
    opened, other = (CaseResultFactory(case=sent_by(patient)).case for _ in range(2))
    for case in (opened, other):
        release_case(actor=SYSTEM, case=case)
    assert client.get("/my/").content.decode().count("You can read your result") == 2
    client.get(f"/my/cases/{opened.pk}/")
    page = client.get("/my/").content.decode()
    assert page.count("You can read your result") == 1
    assert page.count("You have opened this result") == 1


def test_a_long_list_takes_no_more_queries(
    client: Client, patient: Patient, django_assert_max_num_queries: Any
) -> None:
    for _ in range(8):
        ImageFactory(case=sent_by(patient), ready=True)
    with django_assert_max_num_queries(8):
        client.get("/my/")


def test_a_list_fetches_no_manifest(client: Client, patient: Patient) -> None:
    case = CaseResultFactory(case=sent_by(patient)).case
    for address in ("/my/", f"/my/cases/{case.pk}/"):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        assert not [query["sql"] for query in queries if 'release"."manifest"' in query["sql"]]


def test_a_list_of_two_clinics_takes_no_more_queries_for_more_cases(
    client: Client, patient: Patient, django_assert_max_num_queries: Any
) -> None:
    PatientFactory(user=patient.user)
    for _ in range(8):
        ImageFactory(case=sent_by(patient), ready=True)
    with django_assert_max_num_queries(8):
        assert patient.organisation.name in client.get("/my/").content.decode()


def test_the_words_count_the_photos(client: Client, patient: Patient) -> None:
    for photos, said in ((1, "Your photo was deleted"), (2, "Your photos were deleted")):
        case = sent_by(patient)
        for _ in range(photos):
            ImageFactory(case=case, state=Image.State.PURGED, ended_at=timezone.now())
        for address in ("/my/", f"/my/cases/{case.pk}/"):
            assert said in client.get(address).content.decode()
