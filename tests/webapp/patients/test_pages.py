"""The patient's way: join with a code, send a photo, wait, read the result. And nobody else's."""

import re
import uuid
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    MembershipFactory,
    PatientFactory,
    UserFactory,
)
from webapp import storage
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import Batch, Case, Image, Priority
from webapp.cases.review import release_case
from webapp.patients.photos import MAX_A_DAY, age_on, send_photos

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


@pytest.fixture
def patient() -> Patient:
    made: Patient = PatientFactory(user=UserFactory(email="reader@home.example"), email="reader@home.example")
    return made


@pytest.fixture
def signed_in(client: Client, patient: Patient) -> Client:
    assert patient.user is not None
    client.force_login(patient.user)
    return client


def photo(content: bytes = b"a photo", name: str = "IMG_1.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="image/jpeg")


def send(client: Client, patient: Patient, *photos: SimpleUploadedFile, **fields: Any) -> Any:
    form = {"key": str(uuid.uuid4()), "clinic": str(patient.pk), "anatom_site": "", "notes": "", **fields}
    return client.post("/my/photo/", {**form, "photos": list(photos)})


def case_of(patient: Patient) -> Case:
    """A case of a photo that this patient sent."""
    made: Case = CaseFactory(
        patient=patient, batch__organisation=patient.organisation, batch__source=Batch.Source.PATIENT,
        batch__submitted=True,
    )  # fmt: skip
    return made


@pytest.mark.parametrize("path", ["/my/", "/my/photo/"])
def test_a_person_without_a_clinic_is_told_how_to_find_it(client: Client, path: str) -> None:
    client.force_login(UserFactory())
    assert "/join/" in client.get(path, follow=True).content.decode()


def test_who_is_signed_out_meanwhile_has_a_link_to_sign_in_beside_what_they_have_chosen(signed_in: Client) -> None:
    page = signed_in.get("/my/photo/").content.decode()
    [offer] = re.findall(r'<template id="sign-in">(.*?)</template>', page)
    assert f'href="{reverse("account_request_login_code")}" target="_blank"' in offer
    assert "opens in a new tab" in offer


def test_photos_of_one_spot_become_one_case_that_goes_first(signed_in: Client, patient: Patient) -> None:
    response = send(signed_in, patient, photo(), photo(b"another"), anatom_site="upper extremity", notes="It itches")
    case = Case.objects.get()
    assert response["Location"] == f"/my/cases/{case.pk}/"
    assert (case.patient, case.capture, case.anatom_site, case.notes) == (
        patient, "phone", "upper extremity", "It itches"
    )  # fmt: skip
    assert (case.batch.source, case.batch.priority, case.batch.state) == ("patient", Priority.INTERACTIVE, "submitted")
    images = case.images.order_by("filename")
    assert [(image.filename, image.state) for image in images] == [("photo-1", "stored"), ("photo-2", "stored")]
    assert [storage.read(image.upload_key) for image in images] == [b"a photo", b"another"]
    assert "We are checking your photo" in signed_in.get(response["Location"]).content.decode()


def test_a_form_sent_twice_makes_one_case(signed_in: Client, patient: Patient) -> None:
    key = str(uuid.uuid4())
    first = send(signed_in, patient, photo(), key=key)
    assert send(signed_in, patient, photo(), key=key)["Location"] == first["Location"]
    assert Case.objects.count() == 1


@pytest.mark.parametrize(
    "changed", [{"photos": [photo(b"a sharper photo")]}, {"anatom_site": "palms/soles"}, {"notes": "It bleeds"}]
)
def test_what_was_changed_before_it_was_sent_again_is_another_case(patient: Patient, changed: dict[str, Any]) -> None:
    """The answer to a photo that was lost on the way is not shown as that to the photo in its place."""
    sent: dict[str, Any] = {"actor": Actor(user=patient.user), "patient": patient, "key": "k", "photos": [photo()]}
    first = send_photos(**sent)
    assert send_photos(**sent) == first
    sent |= changed
    second = send_photos(**sent)
    assert second != first
    assert storage.read(second.images.get().upload_key) == sent["photos"][0].open().read()


def test_a_sending_that_was_cut_off_goes_on(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Actor(user=patient.user)
    write = storage.write

    def fails(key: str, data: bytes) -> None:
        if data == b"2":
            raise ConnectionError
        write(key, data)

    monkeypatch.setattr(storage, "write", fails)
    with pytest.raises(ConnectionError):
        send_photos(actor=actor, patient=patient, key="k", photos=[photo(b"1"), photo(b"2")])
    monkeypatch.undo()
    case = send_photos(actor=actor, patient=patient, key="k", photos=[photo(b"1"), photo(b"2")])
    assert [storage.read(image.upload_key) for image in case.images.order_by("filename")] == [b"1", b"2"]
    assert Case.objects.get().batch.state == "submitted"


@pytest.mark.parametrize(
    ("photos", "sentence"),
    [
        ([], "Take a photo or choose one."),
        ([photo() for _ in range(4)], "Send at most 3 photos"),
        ([photo(b"")], "The file is empty."),
    ],
)
def test_what_cannot_be_sent_is_said_on_the_page_and_to_the_script(
    signed_in: Client, patient: Patient, photos: list[SimpleUploadedFile], sentence: str
) -> None:
    assert sentence in send(signed_in, patient, *photos).content.decode()
    form = {"key": str(uuid.uuid4()), "clinic": str(patient.pk)}
    for file in photos:
        file.seek(0)
    answer = signed_in.post("/my/photo/", {**form, "photos": photos}, headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert sentence in answer.json()["errors"][0]
    assert answer.json()["fields"] == ["id_photos"]
    assert not Case.objects.exists()


def test_a_photo_cannot_be_sent_for_somebody_else(signed_in: Client, patient: Patient) -> None:
    stranger = PatientFactory(user=UserFactory())
    assert "Select a valid choice" in send(signed_in, stranger, photo()).content.decode()
    assert not Case.objects.exists()


def test_what_a_clinic_notes_for_itself_stands_in_no_form_of_the_patient(signed_in: Client, patient: Patient) -> None:
    theirs = CaseFactory(batch__organisation=patient.organisation, patient=patient, notes="very anxious")
    CaseResultFactory(case=theirs)
    Case.objects.update(released_at=timezone.now())
    assert signed_in.get(f"/my/cases/{theirs.pk}/").status_code == 200
    assert signed_in.get(f"/my/cases/{theirs.pk}/again/").status_code == 404


def test_a_child_whose_age_is_known_sends_no_photo(signed_in: Client, patient: Patient) -> None:
    Patient.objects.update(date_of_birth=timezone.localdate() - timedelta(days=15 * 365))
    answer = send(signed_in, patient, photo())
    assert "You must be 18 or older" in answer.content.decode()
    assert not Case.objects.exists()


def test_twenty_photos_a_day_are_enough(patient: Patient) -> None:
    from webapp.errors import Problem

    actor = Actor(user=patient.user)
    for number in range(MAX_A_DAY):
        last = send_photos(actor=actor, patient=patient, key=str(number), photos=[photo(b"x")])
    assert send_photos(actor=actor, patient=patient, key=str(number), photos=[photo(b"x")]) == last  # gone on with
    with pytest.raises(Problem, match="try again tomorrow"):
        send_photos(actor=actor, patient=patient, key="one more", photos=[photo(b"x")])


def test_the_waiting_page_is_told_when_there_is_something_new(signed_in: Client, patient: Patient) -> None:
    case = case_of(patient)
    address = f"/my/cases/{case.pk}/"
    assert signed_in.get(address, {"seen": "checking"}).status_code == 204
    CaseResultFactory(case=case)
    answer = signed_in.get(address, {"seen": "checking"})
    assert answer.status_code == 200
    assert "will look at the result first" in answer.content.decode()
    assert "will look at the result first" in signed_in.get(address).content.decode()


def test_a_refused_photo_says_why_and_asks_for_a_new_one(signed_in: Client, patient: Patient) -> None:
    case = case_of(patient)
    advice = "The photo is blurred. Hold still."
    ImageFactory(
        case=case, state=Image.State.REJECTED, reason="blurred", advice=advice, ended_at=timezone.now(), width=9
    )
    Batch.objects.update(state="completed_with_failures", remaining=0, finished_at=timezone.now())
    Case.objects.update(anatom_site="palms/soles", notes="It itches.")
    page = signed_in.get(f"/my/cases/{case.pk}/").content.decode()
    assert advice in page
    assert "Take the photo again" in page
    again = f"/my/cases/{case.pk}/again/"
    assert again in page
    form = signed_in.get(again).content.decode()
    assert '<option value="palms/soles" selected>' in form
    assert "It itches.</textarea>" in form
    sent = {"key": str(uuid.uuid4()), "clinic": str(patient.pk), "notes": "It bleeds", "photos": [photo()]}
    assert signed_in.post(again, sent).status_code == 302
    assert Case.objects.exclude(pk=case.pk).get().notes == "It bleeds"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "cancelled", "remaining": 0, "finished_at": timezone.now()}, "Stopped"),
        ({"state": "open", "submitted_at": None, "remaining": 0}, "Did not arrive"),
        ({"state": "completed_with_failures", "remaining": 0, "finished_at": timezone.now()}, "Could not be checked"),
    ],
    ids=["cancelled", "open", "failed"],
)
def test_other_ends_are_said_too(signed_in: Client, patient: Patient, change: dict[str, Any], words: str) -> None:
    case = case_of(patient)
    ImageFactory(case=case, ready=True)
    Batch.objects.update(**change)
    assert words in signed_in.get(f"/my/cases/{case.pk}/").content.decode()
    assert words in signed_in.get("/my/").content.decode()


@pytest.mark.parametrize("advice", ["urgent_referral", "routine_referral", "self_monitor"])
def test_a_released_result_is_read_in_plain_words_and_audited(signed_in: Client, patient: Patient, advice: str) -> None:
    case = case_of(patient)
    image = ImageFactory(case=case, ready=True)
    result = CaseResultFactory(case=case, advice=advice, malignant=0.074)
    clinician = MembershipFactory(organisation=patient.organisation).user
    release_case(actor=Actor(user=clinician), case=case, note="Come to <my> desk.")
    page = signed_in.get(f"/my/cases/{case.pk}/").content.decode()
    assert "This is not a diagnosis." in page
    assert "about 7 are skin cancer" in page
    assert "Come to &lt;my&gt; desk." in page
    assert result.release.name in page
    assert f"/my/cases/{case.pk}/photos/{image.pk}/" in page
    for hidden in ("0[.]07", "7%", "7[.]4", "Melanoma", r"\bMEL\b", "probab", advice):  # not within a token, by chance
        assert not re.search(hidden, page)
    events = Event.objects.filter(action="result.viewed", object_id=str(case.pk))
    assert [event.user for event in events] == [patient.user]


def test_a_clinics_case_is_shown_once_it_is_released(signed_in: Client, patient: Patient) -> None:
    result = CaseResultFactory(case__patient=patient, case__batch__organisation=patient.organisation)
    address = f"/my/cases/{result.case.pk}/"
    assert signed_in.get(address).status_code == 404
    release_case(actor=SYSTEM, case=result.case)
    assert signed_in.get(address).status_code == 200
    assert address in signed_in.get("/my/").content.decode()


def test_another_patient_gets_404_everywhere(signed_in: Client, patient: Patient) -> None:
    other = case_of(PatientFactory(user=UserFactory(), organisation=patient.organisation))
    image = ImageFactory(case=other, ready=True)
    storage.write(image.clean_key, b"pixels")
    release_case(actor=SYSTEM, case=CaseResultFactory(case=other).case)
    mine = case_of(patient)
    for path in (
        f"/my/cases/{other.pk}/",
        f"/my/cases/{other.pk}/again/",
        f"/my/cases/{other.pk}/photos/{image.pk}/",
        f"/my/cases/{mine.pk}/photos/{image.pk}/",
    ):
        assert signed_in.get(path).status_code == 404
    assert str(other.pk) not in signed_in.get("/my/").content.decode()
    assert Client().get(f"/my/cases/{other.pk}/").status_code == 302


def test_ones_own_photo_is_shown(signed_in: Client, patient: Patient) -> None:
    image = ImageFactory(case=case_of(patient), ready=True)
    address = f"/my/cases/{image.case_id}/photos/{image.pk}/"
    assert signed_in.get(address).status_code == 404  # deleted from storage
    storage.write(image.clean_key, b"pixels")
    answer = signed_in.get(address)
    assert (answer.getvalue(), answer["Content-Type"]) == (b"pixels", "image/jpeg")
    assert "no-store" in answer["Cache-Control"]


def test_age_counts_full_years() -> None:
    born = date(1964, 3, 27)
    assert [age_on(born, day) for day in (date(2026, 3, 26), date(2026, 3, 27))] == [61, 62]
