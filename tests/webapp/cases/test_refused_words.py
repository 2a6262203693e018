"""What is said of a picture that cannot be used fits who reads it: a patient with a phone, or a clinic."""

import re

import pytest

from ml.imaging.refusal import SENTENCES
from tests.factories import BatchFactory, CaseFactory, ImageFactory
from tests.webapp.api.clinic import Clinic, good
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import NOT_A_LESION, Batch, Image
from webapp.cases.refused import FOR_CLINICS

pytestmark = pytest.mark.django_db(transaction=True)

SHOWN = ["too_small", "blurred", "too_dark", "too_bright", "low_contrast", "no_lesion", "too_far", "not_skin"]
IN_ONES_HAND = ["camera", "photo", "zoom", "flash", "tap ", "move ", "switch", "spot", "Please"]


def refused(clinic: Clinic, source: str, code: str) -> Image:
    """An image that the quality check refused."""
    image = ImageFactory(
        case=CaseFactory(batch=BatchFactory(source=source, organisation=clinic.organisation)), stored=True
    )
    token, [leased] = claim_images(limit=1)
    flags = [{"code": code, "advice": SENTENCES[code]}]
    finish_intake(token=token, inspected=[(leased, InspectionResult("b" * 64, 600, 450, flags, code, SENTENCES[code]))])
    return Image.objects.get(pk=image.pk)


@pytest.mark.parametrize("code", SHOWN)
@pytest.mark.parametrize("source", [Batch.Source.API, Batch.Source.WEB])
def test_a_clinic_is_told_nothing_that_only_a_hand_with_a_phone_can_do(source: str, code: str) -> None:
    clinic = Clinic()
    told = good(clinic.get(f"/images/{refused(clinic, source, code).pk}"))

    assert told["reason"] == code
    assert not [word for word in IN_ONES_HAND if word in told["what_to_do"]]
    assert "Send" in told["what_to_do"]
    assert told["quality"] == [{"code": code, "advice": told["what_to_do"]}]


@pytest.mark.parametrize("code", SHOWN)
def test_a_patient_is_told_what_to_do_with_the_phone(code: str) -> None:
    assert refused(Clinic(), Batch.Source.PATIENT, code).advice == SENTENCES[code]


def test_what_is_wrong_with_a_file_is_told_alike() -> None:
    assert refused(Clinic(), Batch.Source.API, "corrupt").advice == SENTENCES["corrupt"]


@pytest.mark.parametrize("code", ["no_lesion", NOT_A_LESION])
def test_of_a_lesion_that_was_not_seen_it_is_not_said_that_there_is_none(code: str) -> None:
    """Glare hides a carcinoma from the check."""
    assert re.search("could be made out|clearly enough", FOR_CLINICS[code])
