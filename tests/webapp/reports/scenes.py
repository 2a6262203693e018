"""Cases as they look when somebody asks for a report."""

from io import BytesIO
from typing import Any

from django.utils import timezone
from PIL import Image as Pillow

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    OrganisationFactory,
    ReleaseFactory,
    ResultFactory,
    UserFactory,
)
from webapp import storage
from webapp.cases.models import Batch, Case, Image

CLINIC = "Städtische Klinik 皮膚科"


def jpeg(colour: tuple[int, int, int] = (190, 140, 120), size: tuple[int, int] = (600, 450)) -> bytes:
    """A picture of one colour."""
    out = BytesIO()
    Pillow.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def answered(
    batch: Batch | None = None,
    *,
    pictures: int = 1,
    malignant: float = 0.74,
    advice: str = "urgent_referral",
    **fields: Any,
) -> Case:
    """A case with as many pictures, each with an answer and a heatmap, and an answer for the whole."""
    batch = batch or BatchFactory(completed=True, organisation=OrganisationFactory(name=CLINIC))
    case = CaseFactory(batch=batch, **{"age": 61, "sex": Case.Sex.FEMALE, "anatom_site": "lower back"} | fields)
    release = ReleaseFactory()
    for _ in range(pictures):
        image = ImageFactory(case=case, ready=True)
        ResultFactory(job=JobFactory(image=image, succeeded=True), release=release)
        storage.write(image.clean_key, jpeg())
    CaseResultFactory(case=case, release=release, images=pictures, malignant=malignant, advice=advice)
    return case


def reviewed(case: Case, note: str = "") -> Case:
    """The case, released by a clinician."""
    now = timezone.now()
    Case.objects.filter(pk=case.pk).update(
        released_at=now, reviewed_at=now, reviewed_by=UserFactory(email="dr@clinic.example"), review_note=note
    )
    return case


def refused(batch: Batch) -> Case:
    """A case whose only picture was refused."""
    case = CaseFactory(batch=batch)
    ImageFactory(
        case=case,
        state=Image.State.REJECTED,
        reason="blurred",
        advice="The picture is blurred. Please take it again.",
        ended_at=timezone.now(),
    )
    return case
