"""Photos are deleted: when somebody asks for it, or once they are older than their clinic keeps them.

The rows say it first, in one transaction; then the files go. A process that dies in between leaves files that nobody
is shown any more: `webapp.cases.originals.forget_originals` deletes those of every deleted photo once more, when nobody
who began before can write them any more. What the model answered stays.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import cast

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from ml.classes import CLASSES
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import Batch, Case, Image, PartedUpload
from webapp.cases.parts import give_up_parts
from webapp.inference.completion import end_images
from webapp.inference.models import Job, Result
from webapp.inference.selectors import dropped_images
from webapp.labels.models import Consensus
from webapp.leases import UNLEASED
from webapp.pages.words import counted

logger = structlog.get_logger(__name__)
DELETED_AT_ONCE = 100


def delete_photos(*, actor: Actor, case: Case) -> int:
    """Delete every photo of a case, for good, whatever is being done with it; gives how many. Twice changes nothing."""
    return _delete(actor=actor, batch_id=case.batch_id, wanted=case.images.all(), detail="as asked")


def delete_old_photos() -> int:
    """Delete some photos that are older than their clinics keep them, the oldest of a clinic first; gives how many.

    Chance decides whose turn it is, so that one clinic's many do not keep the others' waiting.
    """
    deleted = 0
    for organisation in Organisation.objects.filter(retention_days__isnull=False).order_by("?"):
        if deleted >= DELETED_AT_ONCE:
            break
        old = _old_photos(organisation)
        oldest = old.order_by("ended_at").values_list("batch_id", "pk")[:DELETED_AT_ONCE]
        for batch_id, pairs in groupby(sorted(oldest), key=lambda pair: pair[0]):
            wanted = old.filter(pk__in=[pk for _, pk in pairs])
            detail = f"after {counted(cast(int, organisation.retention_days), 'day')}"
            try:
                deleted += _delete(actor=SYSTEM, batch_id=batch_id, wanted=wanted, detail=detail)
            except Exception:  # one batch that fails must not keep the photos of the others
                logger.exception("photos_not_deleted", batch=str(batch_id))
    return deleted


def _old_photos(organisation: Organisation) -> QuerySet[Image]:
    """Those whose intake ended before the clinic's period began.

    Not while their batch is being answered, and not those that models are trained with and measured on, as their
    patients agree to: those are only deleted when somebody asks for it.
    """
    agreed = Consensus.objects.filter(image__case__patient__training_consent=True)
    taught = agreed.filter(image=OuterRef("pk"), dx__in=CLASSES)
    old = Image.objects.filter(
        organisation=organisation,
        state__in=[Image.State.READY, Image.State.REJECTED],
        ended_at__lt=timezone.now() - timedelta(days=organisation.retention_days or 0),
    )
    return old.filter(~Exists(taught)).exclude(batch__state=Batch.State.SUBMITTED)


def _delete(*, actor: Actor, batch_id: uuid.UUID, wanted: QuerySet[Image], detail: str) -> int:
    images = purge(actor=actor, batch_id=batch_id, wanted=wanted, detail=detail)
    delete_files_now(images)
    return len(images)


@transaction.atomic
def purge(*, actor: Actor, batch_id: uuid.UUID, wanted: QuerySet[Image], detail: str) -> Sequence[Image]:
    """Say that the images of a batch that are `wanted` are deleted, and end what is being done with them.

    Gives them: their files are to be deleted once that is committed.
    """
    batch = locked(batch_id)  # so nobody ends an image or a job of it
    kept = wanted.filter(batch=batch).exclude(state=Image.State.PURGED).order_by("pk")
    held = [image.pk for image in kept.select_for_update(of=("self",))]  # so nobody labels them any more
    images = list(kept.filter(pk__in=held))  # asked again: annotators may have agreed while this waited for them
    names = [image.pk for image in images]
    jobs = Job.objects.filter(image__in=names, state__in=Job.LIVE)
    at_the_model = set(jobs.values_list("image_id", flat=True))
    if batch.state == Batch.State.CANCELLED:  # what this left without an end ends now
        unended = set(dropped_images(batch).filter(pk__in=names).values_list("pk", flat=True))
    else:
        unended = {image.pk for image in images if image.state in Image.UNENDED}
    now = timezone.now()
    jobs.update(state=Job.State.CANCELLED, finished_at=now, **UNLEASED)
    answered = set(Result.objects.filter(image__in=names).values_list("image_id", flat=True))
    Result.objects.filter(image__in=names).update(heatmap=b"", doubt=None)
    Image.objects.filter(pk__in=names).update(
        state=Image.State.PURGED, ended_at=now, advice="", width=0, height=0, original_forgotten=False, **UNLEASED
    )
    if ended := [image for image in images if image.pk in unended | at_the_model]:
        end_images(batch=batch, ended=ended, failures=sum(image.pk not in answered for image in ended))
    for case_id, count in Counter(image.case_id for image in images).items():
        record(
            actor=actor,
            action="case.photos_deleted",
            object_id=case_id,
            organisation=batch.organisation,
            detail=f"{count}, {detail}",
        )
    return images


def delete_files_now(images: Sequence[Image]) -> None:
    """Delete every file of photos that are deleted, as far as storage lets us: the sweep does it once more."""
    try:
        delete_files(images)
    except Exception as error:  # storage is away
        logger.warning("files_not_deleted", images=[str(image.pk) for image in images], error=type(error).__name__)


def delete_files(images: Sequence[Image]) -> None:
    """Delete every file of photos that are deleted: as received, their parts, and the clean picture."""
    awaited = [key for image in images for key in (image.upload_key, image.next_key)]
    in_parts = PartedUpload.objects.filter(key__in=awaited)
    for key in in_parts.values_list("key", flat=True):
        give_up_parts(key=key)
    for image in images:
        for key in (image.upload_key, image.clean_key, *image.other_keys):
            storage.delete(key)
