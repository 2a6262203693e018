"""What a patient may see of their own cases, and how far each has come."""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast
from django.utils import timezone

from webapp.accounts.models import User
from webapp.audit.models import Event
from webapp.cases.models import Batch, Case, Image

USUAL = timedelta(minutes=30)  # for a check; after it patients are told that theirs takes longer


class Stage(StrEnum):
    """How far a patient's case has come, as the patient is told."""

    UNSENT = "unsent"
    CHECKING = "checking"
    DELAYED = "delayed"
    RETAKE = "retake"
    FAILED = "failed"
    SENT_AGAIN = "sent_again"
    STOPPED = "stopped"
    DELETED = "deleted"
    WITH_CLINIC = "with_clinic"
    READY = "ready"


ASKED_TO_RETAKE = (Stage.UNSENT, Stage.RETAKE, Stage.FAILED)  # a patient is asked to send a photo again


@dataclass(frozen=True)
class Progress:
    """What a stage is called, its icon and colour, and how soon to look again (seconds; 0: it is over).

    In `label` stands {photos} for `photo` or `photos`, and {were} for what follows them.
    """

    label: str
    icon: str
    colour: str
    look_again: int = 0


PROGRESS = {
    Stage.UNSENT: Progress("Did not arrive", "alert-triangle", "orange"),
    Stage.CHECKING: Progress("We are checking your {photos}", "clock", "blue", 3),
    Stage.DELAYED: Progress("We are still checking your {photos}", "clock", "blue", 60),
    Stage.RETAKE: Progress("New photo needed", "camera", "orange"),
    Stage.FAILED: Progress("Could not be checked", "alert-triangle", "orange"),
    Stage.SENT_AGAIN: Progress("You sent a new photo", "send", "secondary"),
    Stage.STOPPED: Progress("Stopped", "ban", "secondary"),
    Stage.DELETED: Progress("Your {photos} {were} deleted", "trash", "secondary"),
    Stage.WITH_CLINIC: Progress("Waiting for your clinic", "clock", "blue", 60),
    Stage.READY: Progress("You can read your result", "circle-check", "green"),
}
OPENED = Progress("You have opened this result", "circle-check", "secondary")  # signed in, or by the link


def cases_of(user: User) -> QuerySet[Case]:
    """The photos that this person sent, and what clinics have released to them, newest first."""
    mine = Case.objects.filter(patient__user=user)
    sent = mine.filter(source=Batch.Source.PATIENT).exclude(lesion_id="").order_by("-created_at")
    # What was stopped or deleted before it was answered takes nothing's place.
    of_use = Exists(Image.objects.filter(case=OuterRef("pk")).exclude(state=Image.State.PURGED))
    sent = sent.filter(Q(answer__isnull=False) | ~Q(batch__state=Batch.State.CANCELLED) & of_use)
    later = sent.filter(lesion_id=OuterRef("lesion_id"), created_at__gt=OuterRef("created_at"))
    shown = mine.filter(Q(source=Batch.Source.PATIENT) | Q(released_at__isnull=False))
    opened = Event.objects.filter(object_id=Cast(OuterRef("pk"), CharField()), action="result.viewed")
    shown = shown.annotate(later=Subquery(later.values("pk")[:1]), opened=Exists(opened))
    shown = shown.select_related("batch", "organisation", "patient", "answer__release").defer(
        "answer__release__manifest"
    )
    return shown.prefetch_related("images").order_by("-created_at")


def released_cases() -> QuerySet[Case]:
    """Cases whose result the patient may read."""
    return Case.objects.filter(released_at__isnull=False, answer__isnull=False)


def sent_again(case: Case) -> uuid.UUID | None:
    """The newest case of the same spot that the patient has sent since, as `cases_of` found it; None without one."""
    later: uuid.UUID | None = case.later  # type: ignore[attr-defined]
    return later


def stage_of(case: Case) -> Stage:
    """How far this case has come, of those that `cases_of` gives."""
    stage = _stage(case)
    return Stage.SENT_AGAIN if stage in ASKED_TO_RETAKE and sent_again(case) else stage


def _stage(case: Case) -> Stage:
    if case.answer_id:
        return Stage.READY if case.released_at else Stage.WITH_CLINIC
    if case.images.all() and not _photos_left(case):
        return Stage.DELETED
    match case.batch.state:
        case Batch.State.OPEN:
            return Stage.UNSENT
        case Batch.State.SUBMITTED:
            late = case.batch.submitted_at and case.batch.submitted_at < timezone.now() - USUAL
            return Stage.DELAYED if late else Stage.CHECKING
        case Batch.State.CANCELLED:
            return Stage.STOPPED
    usable = any(image.state == Image.State.READY for image in case.images.all())
    return Stage.FAILED if usable else Stage.RETAKE


def progress_of(case: Case) -> Progress:
    """The same as the patient reads it, of as many photos as there are."""
    stage = stage_of(case)
    opened: bool = case.opened  # type: ignore[attr-defined]
    found = OPENED if stage == Stage.READY and opened else PROGRESS[stage]
    said = {"photos": "photos", "were": "were"} if len(case.images.all()) > 1 else {"photos": "photo", "were": "was"}
    return replace(found, label=found.label.format(**said))


def photos_to_show(case: Case) -> list[Image]:
    """The photos of a case that can be looked at: those that are checked, and not deleted."""
    return [image for image in case.images.all() if image.width and image.state != Image.State.PURGED]


def photos_to_delete(case: Case) -> int:
    """How many photos of this case its patient may delete: those that they have sent. A clinic's own are its."""
    return _photos_left(case) if case.source == Batch.Source.PATIENT else 0


def _photos_left(case: Case) -> int:
    return sum(image.state != Image.State.PURGED for image in case.images.all())
