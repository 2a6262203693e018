"""A clinician reads a result and gives it to the patient."""

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
def release_case(*, actor: Actor, case: Case, note: str = "") -> Case:
    """Give the result to the patient, who is told by e-mail that it can be read. Twice changes nothing.

    Raises Problem `no_result` while there is none, and `case_unfinished` while an image of it may still change it.
    """
    locked(case.batch_id)  # no image joins the case, and none ends, in this moment
    if not Case.objects.filter(pk=case.pk, answer__isnull=False).exists():
        raise Problem("no_result", "This case has no result yet, so there is nothing to release.")
    if is_unfinished(case):
        raise Problem("case_unfinished", "An image of this case is still being worked on. Release the result after it.")
    now = timezone.now()
    changed = Case.objects.filter(pk=case.pk, released_at=None).update(
        released_at=now, reviewed_by=actor.user, reviewed_at=None if actor == SYSTEM else now, review_note=note
    )
    case.refresh_from_db()
    if changed:
        record(actor=actor, action="case.released", object_id=case.id, organisation=case.organisation)
        tell_patient(case=case)
        case_released(case=case)
    return case


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
