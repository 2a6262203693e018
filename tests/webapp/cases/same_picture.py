"""Scenes of one picture that comes for two cases of a batch."""

from typing import Any

from tests.factories import BatchFactory, CaseFactory, ImageFactory
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Batch, Image
from webapp.cases.services import submit_batch

PICTURE = InspectionResult("a" * 64, 600, 450)


def two_cases(**fields: Any) -> tuple[Image, Image]:
    """The images of two patients' cases in an open batch, both uploaded."""
    batch = BatchFactory(**fields)
    left, right = (ImageFactory(case=CaseFactory(batch=batch, external_id=name), stored=True) for name in "AB")
    return left, right


def check(*images: Image, result: InspectionResult = PICTURE) -> None:
    """End the check of these images, one after another."""
    for image in images:
        token, claimed = claim_images(limit=100)
        assert image in claimed
        assert finish_intake(token=token, inspected=[(one, result) for one in claimed if one == image])
        Image.objects.filter(lease_token=token).update(lease_token=None, lease_until=None, attempt=0)


def now(image: Image) -> Image:
    return Image.objects.select_related("case", "batch").get(pk=image.pk)


def submitted(left: Image, right: Image) -> Batch:
    """The batch of two images, sent when the first is checked and the other waits for it."""
    check(left)
    return submit_batch(actor=SYSTEM, batch=left.batch)


def automatic() -> dict[str, Any]:
    return {"organisation__release_policy": Organisation.ReleasePolicy.AUTOMATIC}
