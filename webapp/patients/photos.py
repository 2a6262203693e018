"""A patient sends photos of one spot: a batch of one case that goes to the model ahead of bulk work."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from typing import IO

from django.utils import timezone

from webapp.accounts.models import Patient
from webapp.audit.services import Actor
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch, Case, Image
from webapp.cases.services import Submission, create_batch, submit_batch
from webapp.cases.uploads import store_upload
from webapp.errors import Problem

ADULT = 18  # years: photos that people send of themselves are for adults
MAX_PHOTOS = 3
MAX_A_DAY = 20

BODY_SITES = {
    "head/neck": "Head, face or neck",
    "anterior torso": "Chest or tummy",
    "posterior torso": "Back",
    "lateral torso": "Side of the body",
    "upper extremity": "Arm or hand",
    "lower extremity": "Leg or foot",
    "palms/soles": "Palm of the hand or sole of the foot",
    "oral/genital": "Mouth or private parts",
}
"""ISIC's `anatom_site_general`, in a patient's words."""


def send_photos(
    *,
    actor: Actor,
    patient: Patient,
    key: str,
    photos: Sequence[IO[bytes]],
    anatom_site: str = "",
    notes: str = "",
    earlier: Case | None = None,
) -> Case:
    """Take in up to three photos of one spot and send them to the model. Gives the case; of the same lesion as an
    `earlier` one that they are sent in the place of, at the same clinic.

    The same photos and words under the same `key` give the case that they made before, and go on where a lost
    connection cut them off. What differs is another case: nobody reads the answer to a photo that they had replaced.
    Raises Problem `too_many_photos` after twenty in a day, and `not_adult` where the person is known to be a child:
    they may have agreed before that was asked, or their date of birth was corrected.
    """
    age = age_on(patient.date_of_birth, timezone.localdate()) if patient.date_of_birth else None
    if age is not None and age < ADULT:
        told = f"You must be {ADULT} or older to send photos here. Please call your clinic or your doctor."
        raise Problem("not_adult", told, status=403)
    lately = Batch.objects.filter(
        created_by=actor.user, source=Batch.Source.PATIENT, created_at__gt=timezone.now() - timedelta(days=1)
    )
    sent = f"{patient.pk}:{key}:{_digest(photos, anatom_site, notes)}"
    if lately.exclude(idempotency_key=sent).count() >= MAX_A_DAY:
        raise Problem("too_many_photos", "You have sent many photos today. Please try again tomorrow.", status=429)
    named = {f"photo-{number}": photo for number, photo in enumerate(photos, 1)}  # a phone's own names may be telling
    # Two clinics that hold one id could tell that it is one person.
    same_spot = earlier.lesion_id if earlier and earlier.patient_id == patient.pk else ""
    spec = CaseSpec(
        external_id=f"phone-{secrets.token_hex(4)}",
        patient_id=patient.external_id,
        lesion_id=same_spot or f"spot-{secrets.token_hex(8)}",
        filenames=list(named),
        age=age,
        anatom_site=anatom_site,
        capture=Case.Capture.PHONE,
        notes=notes,
    )
    submission = Submission(source=Batch.Source.PATIENT, idempotency_key=sent)
    batch, _ = create_batch(actor=actor, organisation=patient.organisation, submission=submission, cases=[spec])
    case = batch.cases.get()
    for image in case.images.filter(state=Image.State.AWAITING_UPLOAD, filename__in=named):
        store_upload(image=image, file=named[image.filename])
    submit_batch(actor=actor, batch=batch, allow_missing=True)
    return case


def _digest(photos: Sequence[IO[bytes]], *words: str) -> str:
    digest = hashlib.sha256()
    for photo in photos:
        photo.seek(0)
        digest.update(hashlib.file_digest(photo, "sha256").digest())  # type: ignore[arg-type]
        photo.seek(0)
    for each in words:
        digest.update(hashlib.sha256(each.encode()).digest())
    return digest.hexdigest()


def age_on(born: date, day: date) -> int:
    """Full years of age on this day."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
