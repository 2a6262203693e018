"""Images whose check failed for a reason that may pass: they are checked again where somebody asks for it."""

from django.db.models import Case, QuerySet, Value, When
from django.utils import timezone

from webapp.cases.intake import REFUSED_BY_STORAGE, UNCHECKED
from webapp.cases.models import Batch, Image
from webapp.cases.upload_limits import may_be_checked_again
from webapp.queue import Task, ring

STOPPED = "The check of this file was stopped. Check it again with the images that failed, or send the picture again."


def failed_checks(batch: Batch) -> QuerySet[Image]:
    """The images of a batch that can be checked again, as their files are there."""
    return batch.images.filter(may_be_checked_again(), original_forgotten=False)


def check_again(images: QuerySet[Image]) -> None:
    """Let images that `failed_checks` gave be checked again, in the caller's transaction. Each that may have killed its
    worker counts as tried, so that it is checked alone; what storage refused has killed none.
    """
    images.update(
        state=Image.State.STORED,
        reason="",
        advice="",
        ended_at=None,
        stored_at=timezone.now(),
        attempt=Case(When(reason=REFUSED_BY_STORAGE.code, then=Value(0)), default=Value(1)),
        retried=True,
    )
    ring(Task.INSPECT)


def stop_checks(batch: Batch) -> list[Image]:
    """End as failed what waits to be checked again in a submitted batch, which is locked; what is being checked goes
    on. Gives the images that ended, for the caller to count.
    """
    waiting = batch.images.filter(state=Image.State.STORED, retried=True, lease_token=None)
    images = list(waiting.select_for_update(of=("self",)))
    batch.images.filter(pk__in=[image.pk for image in images]).update(
        state=Image.State.REJECTED, reason=UNCHECKED.code, advice=STOPPED, ended_at=timezone.now()
    )
    return images
