"""A clinician reads a result and gives it to the patient, and looks again where a later answer is more urgent."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from webapp.audit.services import SYSTEM, Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import NOT_A_LESION, Batch, Case
from webapp.errors import Problem
from webapp.inference.selectors import is_unfinished
from webapp.notify.services import tell_patient
from webapp.webhooks.events import case_released


@transaction.atomic
def release_case(*, actor: Actor, case: Case, note: str = "", answered_at: datetime | None = None) -> Case:
    """Give the result to the patient, who is told by e-mail that it can be read. Twice changes nothing.

    `answered_at` is when the answer was given that the clinician has read: no other one is released. Raises Problem
    `no_result` while there is none, `case_unfinished` while an image of it may still change it, `answer_changed` where
    another holds than was read, and `already_released` where the note could only be dropped.
    """
    locked(case.batch_id)  # no image joins the case, and none ends, in this moment
    if not Case.objects.filter(pk=case.pk, answer__isnull=False).exists():
        raise Problem("no_result", "This case has no result yet, so there is nothing to release.")
    if is_unfinished(case):
        raise Problem("case_unfinished", "An image of this case is still being worked on. Release the result after it.")
    now = timezone.now()
    read = {} if answered_at is None else {"answer__created_at": answered_at}
    changed = Case.objects.filter(pk=case.pk, released_at=None, **read).update(
        released_at=now, reviewed_by=actor.user, reviewed_at=None if actor == SYSTEM else now, review_note=note
    )
    case.refresh_from_db()
    if changed:
        record(actor=actor, action="case.released", object_id=case.id, organisation=case.organisation)
        tell_patient(case=case)
        case_released(case=case)
    elif answered_at and case.answer and case.answer.created_at != answered_at:
        raise Problem(
            "answer_changed",
            "Nothing was released: the answer has changed since you read it. Read it again, then release it.",
        )
    elif note and note != case.review_note:
        raise Problem(
            "already_released",
            "This result has been released before, with another note or none. Your note was not sent: tell the patient "
            "yourself.",
        )
    return case


@transaction.atomic
def look_again(*, actor: Actor, case: Case, raised_at: datetime | None) -> None:
    """Say that a clinician has seen the answer of `raised_at`, which is more urgent than what the patient was given.

    Raises Problem `not_raised` where another one has come since, or somebody has said so already.
    """
    waiting = Case.objects.filter(pk=case.pk, raised_at__isnull=False)
    if not waiting.filter(raised_at=raised_at).update(raised_at=None):
        raise Problem("not_raised", "Another answer has come since, or somebody has looked. Read the case again.")
    record(actor=actor, action="case.looked_at_again", object_id=case.pk, organisation=case.organisation)


def release_automatically(*, case: Case) -> None:
    """Release without a clinician, where the organisation chose that.

    An answer about a picture that the model did not recognise waits for a clinician: one of them has insisted on it.
    So does one of a cancelled batch: somebody stopped it for a reason.
    """
    if case.organisation.release_policy != case.organisation.ReleasePolicy.AUTOMATIC:
        return
    if case.batch.state == Batch.State.CANCELLED:
        return
    if not case.images.filter(reason="", quality__contains=[{"code": NOT_A_LESION}]).exists():
        release_case(actor=SYSTEM, case=case)
