"""A clinician reads a result and gives it to the patient, and looks again where a later answer, or what dermatologists
agree on, is more urgent.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import IN_TWO_CASES, NO_RESULT_UNACKNOWLEDGED, NOT_A_LESION, Batch, Case, Image
from webapp.cases.opinions import CALLS_FOR_LESS, DISSENT
from webapp.cases.selectors import without_result
from webapp.errors import Problem
from webapp.inference.selectors import is_unfinished
from webapp.notify.clinics import notify_case_raised
from webapp.notify.services import notify_patient_of_result
from webapp.pages.words import agreed_on
from webapp.webhooks.events import case_raised, case_released


@transaction.atomic
def release_case(
    *, actor: Actor, case: Case, note: str = "", answered_at: datetime | None = None, opinion: str = ""
) -> Case:
    """Give the result to the patient, who is told by e-mail that it can be read. Twice changes nothing.

    `answered_at` is when the answer was given that the clinician has read: no other one is released. `opinion` is what
    dermatologists agree on that calls for more, where the clinician has read that. Raises Problem `no_result` while
    there is none, `case_unfinished` while an image of it may still change it, `answer_changed` where another holds than
    was read, `opinion_unread` where dermatologists see more, and `already_released` where the note could only be
    dropped.
    """
    locked(case.batch_id)  # no image joins the case, and none ends, in this moment
    if not Case.objects.filter(pk=case.pk, answer__isnull=False).exists():
        raise Problem("no_result", "This case has no result yet, so there is nothing to release.")
    if is_unfinished(case):
        raise Problem("case_unfinished", "An image of this case is still being worked on. Release the result after it.")
    now = timezone.now()
    read = {} if answered_at is None else {"answer__created_at": answered_at}
    heeded = ~DISSENT | Q(opinion=opinion)
    changed = Case.objects.filter(heeded, pk=case.pk, released_at=None, **read).update(
        released_at=now, reviewed_by=actor.user, reviewed_at=None if actor == SYSTEM else now, review_note=note
    )
    case.refresh_from_db()
    if changed:
        record(actor=actor, action="case.released", object_id=case.id, organisation=case.organisation)
        notify_patient_of_result(case=case)
        case_released(case=case)
    elif answered_at and case.answer and case.answer.created_at != answered_at:
        raise Problem(
            "answer_changed",
            "Nothing was released: the answer has changed since you read it. Read it again, then release it.",
        )
    elif case.released_at is None:
        raise Problem(
            "opinion_unread",
            f"Nothing was released: {agreed_on(case.dissent)}, which calls for more than this result advises. Look at "
            "the case again; to release the result all the same, confirm that you have read this.",
        )
    elif note and note != case.review_note:
        raise Problem(
            "already_released",
            "This result has been released before, with another note or none. Your note was not sent: tell the patient "
            "yourself.",
        )
    return case


def record_opinion(*, image: Image, dx: str) -> None:
    """Store the class that dermatologists agree on for a picture as the opinion of its case, in the caller's
    transaction, which has locked the batch. Where it calls for more than what the patient was given, the case waits for
    a clinician again, and the clinic is told; also where it waits already, for less.
    """
    if dx not in CALLS_FOR_LESS:
        return
    case = Case.objects.filter(pk=image.case_id, erased_at=None)
    if case.filter(opinion__in=CALLS_FOR_LESS[dx]).update(opinion=dx):
        raised = case.filter(DISSENT, released_at__isnull=False)
        if raised.update(raised_at=Coalesce("raised_at", Now())):
            announce_raised(cases=[image.case_id])


def announce_raised(*, cases: Collection[UUID]) -> None:
    """Tell the clinic and its software that these cases wait for a clinician again, in the transaction that raised
    them, which has locked their batches.
    """
    raised = Case.objects.filter(pk__in=cases).select_related("batch", "organisation").order_by("organisation_id", "pk")
    for case in raised:
        case_raised(case=case)
    for batch in dict.fromkeys(case.batch for case in raised):
        notify_case_raised(batch=batch)


@transaction.atomic
def acknowledge_raised(*, actor: Actor, case: Case, raised_at: datetime | None, opinion: str = "") -> None:
    """Mark a raised case as reviewed again: a clinician has seen the answer of `raised_at` and the `opinion` of
    dermatologists, whichever is more urgent than what the patient was given.

    Raises Problem `not_raised` where another one has come since, or somebody has said so already.
    """
    waiting = Case.objects.filter(~DISSENT | Q(opinion=opinion), pk=case.pk, raised_at__isnull=False)
    if not waiting.filter(raised_at=raised_at).update(raised_at=None):
        raise Problem(
            "not_raised", "Another answer has come since, or an opinion; or somebody has looked. Read it again."
        )
    record(actor=actor, action="case.looked_at_again", object_id=case.pk, organisation=case.organisation)


@transaction.atomic
def acknowledge_without_result(*, actor: Actor, organisation: Organisation, cases: Collection[UUID]) -> int:
    """Mark these of the cases that ended without a result as seen to; gives how many were marked. One that
    is under way again, has a result, or was seen to before is left as it is.
    """
    seen = 0
    for case in without_result(organisation).filter(pk__in=cases):
        if Case.objects.filter(NO_RESULT_UNACKNOWLEDGED, pk=case.pk).update(no_result_seen_at=Now()):
            record(actor=actor, action="case.no_result_seen", object_id=case.pk, organisation=organisation)
            seen += 1
    return seen


def release_automatically(*, case: Case) -> None:
    """Release without a clinician, where the organisation chose that.

    An answer about a picture that the model did not recognise waits for a clinician: one of them has insisted on it.
    So does one of a cancelled batch: somebody stopped it for a reason. And one of which dermatologists see more; and
    one of a case that came with a picture of another.
    """
    if case.organisation.release_policy != case.organisation.ReleasePolicy.AUTOMATIC:
        return
    if case.batch.state == Batch.State.CANCELLED or Case.objects.filter(DISSENT, pk=case.pk).exists():
        return
    insisted_on = Q(reason="", quality__contains=[{"code": NOT_A_LESION}])
    if not case.images.filter(insisted_on | Q(quality__contains=[{"code": IN_TWO_CASES}])).exists():
        release_case(actor=SYSTEM, case=case)
