"""An image is shown to an annotator, who answers; two who agree settle it, and a third settles a disagreement. Where
the third says something else again, or there is no third, they talk it over, and one of them settles it.
"""

import time
from collections import Counter
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from webapp.accounts.models import Membership, User
from webapp.audit.services import Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import Image
from webapp.cases.review import record_opinion
from webapp.errors import Problem
from webapp.inference.models import Result
from webapp.labels.models import Assignment, Consensus, Label
from webapp.labels.selectors import (
    ENOUGH,
    candidates,
    differs,
    disagreements,
    drawn,
    needs_answers,
    standing_result,
    still_open,
    to_change,
)

ASSIGNMENT_TIME = timedelta(minutes=30)
SPARE = 20  # candidates read at once, because others may be taking the first ones
TRIES = 3
BUSY_SECONDS = 0.05


def next_image(*, actor: Actor, annotator: User) -> Image | None:
    """The image that the annotator has on the screen, or the next one of their organisation; None when all is done.

    It is kept for them for 30 minutes. An image is not put on more screens than it needs answers.
    """
    for _ in range(TRIES):
        image, busy = _take_next(actor, annotator)
        if image is not None or not busy:
            return image
        time.sleep(BUSY_SECONDS)
    return None


@transaction.atomic
def _take_next(actor: Actor, annotator: User) -> tuple[Image | None, bool]:
    """The next image, and where there is none, whether that is because others are answering them this moment."""
    membership = Membership.objects.select_for_update().get(user=annotator)  # one image at a time, in however many tabs
    now = timezone.now()
    mine = Assignment.objects.filter(
        annotator=annotator, expires_at__gt=now, image__organisation=membership.organisation_id
    ).select_related("image__case__patient")
    for assignment in mine.order_by("-created_at", "-pk"):
        if needs_answers(assignment.image):
            return assignment.image, False
    names = candidates(organisation=membership.organisation, annotator=annotator, limit=SPARE)
    for name in names:
        image = Image.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=name).first()
        # The candidates were read before the lock: somebody may have been asked in between.
        if image is not None and still_open(image=image, annotator=annotator, now=now):
            _assign(image, annotator)
            record(actor=actor, action="image.shown", object_id=image.pk, organisation=membership.organisation)
            return image, False
    return None, bool(names)


def _assign(image: Image, annotator: User) -> None:
    now = timezone.now()
    Assignment.objects.update_or_create(
        image=image, annotator=annotator, defaults={"created_at": now, "expires_at": now + ASSIGNMENT_TIME}
    )


@transaction.atomic
def submit_label(*, actor: Actor, annotator: User, image: Image, dx: str, confidence: int, note: str = "") -> Label:
    """Record what an annotator says of an image that they were shown, and settle it if two agree.

    Answering twice gives the first answer again. Raises Problem `not_assigned` for an image that the annotator was
    not shown, and `image_settled` when others have settled it after their 30 minutes were over, it was deleted, or its
    patient has withdrawn their consent.
    """
    image = _lock(image)
    given = Label.objects.filter(image=image, annotator=annotator).first()
    if given is not None:
        return given
    if not Assignment.objects.filter(image=image, annotator=annotator).exists():
        raise Problem("not_assigned", "This image is not in your queue. Go on with the next one.", status=404)
    if not needs_answers(image):
        Assignment.objects.filter(image=image, annotator=annotator).delete()
        message = "Others have settled this image, or it may not be used any more. Go on with the next one."
        raise Problem("image_settled", message)
    label = Label.objects.create(image=image, annotator=annotator, dx=dx, confidence=confidence, note=note.strip())
    Assignment.objects.filter(image=image, annotator=annotator).delete()
    record(actor=actor, action="label.submitted", object_id=image.pk, organisation=image.organisation)
    _accept_if_agreed(image)
    label.refresh_from_db()
    return label


def _accept_if_agreed(image: Image) -> None:
    """Accept what two annotators agree on; without an agreement the labels stay as submitted."""
    labels = list(image.labels.all())
    (dx, votes), *_ = Counter(label.dx for label in labels).most_common(1)
    if votes >= ENOUGH:
        _accept(image, dx)


def _accept(image: Image, dx: str, settled_by: User | None = None) -> None:
    result = standing_result(image)
    Result.objects.filter(image=image).update(doubt=None)  # out of the index that the queue begins with
    Consensus.objects.create(
        image=image,
        dx=dx,
        result=result,
        differs=differs(dx, result),
        drawn=drawn(image.pk),
        settled_by=settled_by,
    )
    image.labels.filter(dx=dx).update(state=Label.State.ACCEPTED)
    image.labels.exclude(dx=dx).update(state=Label.State.SUPERSEDED)
    record_opinion(image=image, dx=dx)


@transaction.atomic
def settle_disagreement(*, actor: Actor, annotator: User, image: Image, dx: str) -> Consensus:
    """Record what holds for an image on which annotators disagreed, as they and this one now see it. It is final.

    Raises Problem `not_in_disagreement` where it is none of `disagreements`: another can be asked, or it is settled.
    """
    image = _lock(image)
    if not disagreements(image.organisation).filter(pk=image.pk).exists():
        raise Problem(
            "not_in_disagreement",
            "Somebody settled this image meanwhile, it may not be used any more, or another annotator is asked first.",
        )
    _accept(image, dx, annotator)
    record(actor=actor, action="label.disagreement_settled", object_id=image.pk, organisation=image.organisation)
    return image.consensus


@transaction.atomic
def undo(*, actor: Actor, label: Label) -> None:
    """Take back a label, an annotator's last or an earlier one; its image is the next that they are shown.

    Raises Problem `cannot_undo` once another has answered too, once it was compared, or where annotators are not asked
    about its photo any more.
    """
    image = _lock(label.image)
    this = Label.objects.filter(pk=label.pk)
    if not to_change(this).exists():
        raise Problem(
            "cannot_undo",
            "This answer is final: another annotator has answered too, it was compared with the model's, or its photo "
            "may not be used any more.",
        )
    this.delete()
    _assign(image, label.annotator)
    record(actor=actor, action="label.undone", object_id=image.pk, organisation=image.organisation)


@transaction.atomic
def compare(*, actor: Actor, label: Label) -> None:
    """Let the annotator see the model's answer beside theirs, which is final from then on. Twice changes nothing."""
    image = _lock(label.image)  # an undo that has begun comes first
    if Label.objects.filter(pk=label.pk, compared_at=None).update(compared_at=timezone.now()):
        record(actor=actor, action="label.compared", object_id=image.pk, organisation=image.organisation)


def _lock(image: Image) -> Image:
    """The image as it is now, with every other answer to it waiting until this transaction ends."""
    locked(image.batch_id)  # what is settled may change the case
    return Image.objects.select_for_update(no_key=True).get(pk=image.pk)
