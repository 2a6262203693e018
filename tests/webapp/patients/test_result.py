"""What a patient reads beside the number, where the number alone would mislead."""

import pytest
from django.test import Client
from django.utils import timezone

from ml.advice import Advice
from tests.factories import CaseFactory, CaseResultFactory, ImageFactory, JobFactory, ResultFactory
from tests.webapp.api.clinic import Clinic, good
from webapp.accounts.models import Patient
from webapp.cases.models import NOT_A_LESION, Case, Image
from webapp.patients.words import AGREED, FOLLOWS_ONE_PHOTO, NO_NUMBER, NO_SPOT, NOT_SEEN, SEEN_BY_CLINIC

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]

UNRECOGNISED = [{"code": NOT_A_LESION, "sentence": "", "measure": 0}]


def released(
    patient: Patient, malignant: float = 0.03, advice: str = Advice.SELF_MONITOR.value, images: int = 1
) -> Case:
    """A case that was released to the patient."""
    case: Case = CaseFactory(patient=patient, batch__organisation=patient.organisation)
    CaseResultFactory(case=case, advice=advice, malignant=malignant, uncertainty=0.01, images=images)
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
    return case


def read(client: Client, case: Case) -> str:
    return client.get(f"/my/cases/{case.pk}/").content.decode()


@pytest.mark.parametrize(("advice", "images"), [(Advice.SELF_MONITOR, 1), (Advice.URGENT_REFERRAL, 2)])
def test_one_answer_for_several_spots_is_said_to_be_one(
    client: Client, patient: Patient, advice: Advice, images: int
) -> None:
    page = read(client, released(patient, advice=advice.value, images=images))
    assert f"There is one answer for your photo{'s' if images > 1 else ''}. If you can see more than one spot" in page
    assert "Please have each of them checked." in page


def test_before_the_upload_one_spot_in_each_photo_is_asked_for(client: Client, patient: Patient) -> None:
    page = client.get("/my/photo/").content.decode()
    assert "Show only one spot in each photo, and the same one in all." in page
    assert "There is one answer for all that you send together." in page


@pytest.mark.parametrize("state", [Image.State.READY, Image.State.PURGED])
def test_no_number_stands_for_a_photo_that_shows_no_spot(client: Client, patient: Patient, state: str) -> None:
    """A provider insisted on an answer. Deleting the photo later does not make it better."""
    case = released(patient)
    image = ImageFactory(case=case, ready=True)
    assert "Of 100 spots" in read(client, case)
    Image.objects.filter(pk=image.pk).update(quality=UNRECOGNISED, state=state)
    page = read(client, case)
    assert NO_SPOT in page
    assert NO_NUMBER in page
    for reassuring in ("Of 100 spots", AGREED):
        assert reassuring not in page


def test_a_photo_that_the_model_did_not_answer_is_said_to_be_left_out(client: Client, patient: Patient) -> None:
    case = released(patient)
    answered, unanswered = ImageFactory.create_batch(2, case=case, ready=True)
    ResultFactory(job__image=answered)
    JobFactory(image=unanswered, state="failed", reason="model_error", finished_at=timezone.now())
    page = read(client, case)
    assert "We could not use 1 of your photos. The result comes from the other." in page
    assert str(answered.pk) in page
    assert str(unanswered.pk) not in page

    ResultFactory(job=JobFactory(image=unanswered, succeeded=True))  # in a second run
    page = read(client, case)
    assert "We could not use" not in page
    assert str(unanswered.pk) in page


def test_a_photo_that_was_left_out_takes_no_number_away(client: Client, patient: Patient) -> None:
    case = released(patient)
    ImageFactory(case=case, ready=True)
    refused = {"state": Image.State.REJECTED, "reason": NOT_A_LESION, "ended_at": timezone.now()}
    ImageFactory(case=case, quality=UNRECOGNISED, **refused)
    page = read(client, case)
    assert "Of 100 spots" in page
    assert NO_SPOT not in page


@pytest.mark.parametrize(("malignant", "said"), [(0.04, True), (0.4, False)])
def test_a_small_number_beside_a_visit_to_the_doctor_is_explained(
    client: Client, patient: Patient, malignant: float, said: bool
) -> None:
    case = released(patient, malignant=malignant, advice=Advice.ROUTINE_REFERRAL.value, images=3)
    assert (FOLLOWS_ONE_PHOTO in read(client, case)) == said


@pytest.mark.parametrize("through", ["software", "policy"])
def test_what_the_clinics_software_releases_was_looked_at_and_what_its_policy_does_was_not(
    client: Client, patient: Patient, through: str
) -> None:
    """The call says that a clinician has read it, though not who."""
    if through == "policy":
        case = released(patient)
    else:
        case = CaseResultFactory(case__patient=patient, case__batch__organisation=patient.organisation).case
        good(Clinic(case.organisation).post(f"/cases/{case.pk}/release"))
    page = read(client, case)
    assert (SEEN_BY_CLINIC in page, NOT_SEEN in page) == (through == "software", through == "policy")
