"""Batches at the model, and what workers do with them."""

import uuid
from collections.abc import Sequence

from ml.advice import Advice
from ml.classes import CLASSES
from tests.factories import (
    HEATMAP,
    BatchFactory,
    CaseFactory,
    ImageFactory,
    ReleaseFactory,
)
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Batch, Case
from webapp.cases.services import submit_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.services import Outcome, finish
from webapp.registry.models import ModelRelease


def outcome(release: ModelRelease, malignant: float = 0.8) -> Outcome:
    """What a release says of an image: melanoma, with this probability."""
    rest = (1 - malignant) / (len(CLASSES) - 1)
    probabilities = {code: malignant if code == "MEL" else rest for code in CLASSES}
    total = sum(probabilities[code] for code in ("MEL", "BCC", "AKIEC"))
    return Outcome(release, probabilities, total, 0.1, Advice.URGENT_REFERRAL, "test", "0" * 64, HEATMAP)


def submitted_batch(images_by_case: list[int], **batch: object) -> Batch:
    """A submitted batch whose cases have that many ready images."""
    made = BatchFactory(**batch)
    for count in images_by_case:
        case = CaseFactory(batch=made)
        ImageFactory.create_batch(count, case=case, ready=True)
    return submit_batch(actor=SYSTEM, batch=made)


def answer_all(release: ModelRelease) -> None:
    """What the model's workers do until nothing waits."""
    while True:
        token, jobs = claim_jobs(limit=4)
        if not jobs:
            return
        for job in jobs:
            assert finish(token=token, ends=[(job, outcome(release))])


def answered_case(malignant: Sequence[float], *, advice: str, uncertainty: float | None) -> Case:
    """A case with a picture for each of these P(malignant): melanoma or naevus, each with this advice."""
    case: Case = CaseFactory(batch=BatchFactory())
    ImageFactory.create_batch(len(malignant), case=case, ready=True)
    submit_batch(actor=SYSTEM, batch=case.batch)
    release = ReleaseFactory()
    token, jobs = claim_jobs(limit=len(malignant))
    ends = [
        (job, Outcome(release, {"MEL": share, "NV": 1 - share}, share, uncertainty, advice, "test", "0" * 64, b""))
        for job, share in zip(jobs, malignant, strict=True)
    ]
    assert finish(token=token, ends=ends)
    case.refresh_from_db()
    return case


def inspect_all() -> None:
    """What intake does with pictures that are fit."""
    token, images = claim_images(limit=1000)
    for image in images:
        storage.write(image.clean_key, jpeg())
        assert finish_intake(
            token=token, inspected=[(image, InspectionResult(sha256=uuid.uuid4().hex * 2, width=600, height=450))]
        )
