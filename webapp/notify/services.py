"""Who is told what. Writing a message is part of the transaction that gives rise to it; sending comes later."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import F, Max, OuterRef, Subquery
from django.utils import timezone

from webapp.accounts.models import Organisation, Patient, User
from webapp.cases.models import TO_REVIEW, Batch, Case, Image
from webapp.errors import Problem
from webapp.leases import UNLEASED
from webapp.notify.delivery import afresh
from webapp.notify.letters import WANTING
from webapp.notify.links import close_links
from webapp.notify.models import Message, ResultLink
from webapp.queue import Task, ring

REVIEW_LETTERS_APART = timedelta(hours=1)


def tell_provider(*, batch: Batch) -> None:
    """Tell who sent a batch that it is complete; of a patient's photo the clinic, that a result waits for review."""
    if batch.source == Batch.Source.PATIENT:
        _tell_of_review(batch)
        return
    recipient = batch.created_by.email if batch.created_by else batch.organisation.contact_email
    _post(kind=Message.Kind.BATCH_COMPLETED, recipient=recipient, batch=batch)


def _tell_of_review(batch: Batch) -> None:
    """Tell the clinic, an hour after the last letter of this kind at the soonest: of many photos once, of each."""
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=batch.organisation_id)
    if not batch.cases.filter(TO_REVIEW).exists():
        return
    recipient, kind = organisation.contact_email, Message.Kind.REVIEW_WAITING
    told = Message.objects.filter(recipient=recipient, kind=kind, batch__organisation=organisation)
    if told.filter(state__in=[Message.State.PENDING, Message.State.SENDING]).exists():
        return
    last = told.aggregate(last=Max("send_after"))["last"]
    due = max(timezone.now(), last + REVIEW_LETTERS_APART) if last else timezone.now()
    _post(kind=kind, recipient=recipient, batch=batch, send_after=due)


def tell_patient(*, case: Case) -> None:
    """Tell the patient that a released result can be read."""
    _post(kind=Message.Kind.RESULT_READY, recipient=case.patient.email, batch=case.batch, case=case)


def why_not_told(*, case: Case) -> Problem | None:
    """Why the patient of a released case gets no letter: `no_email`, `no_date_of_birth` or `letter_failed`; None where
    one is sent.
    """
    letters = Message.objects.filter(kind=Message.Kind.RESULT_READY, case=case)
    letter = letters.order_by("-pk").only("state", "recipient").first()
    if letter is None or not letter.recipient:
        return Problem(
            "no_email",
            "No e-mail address of the patient is known, so nobody was told. Tell the patient yourself, or ask your "
            "administrator to add the address: the letter goes out then.",
        )
    if case.patient.date_of_birth is None:
        return Problem(
            "no_date_of_birth",
            "The patient's date of birth is not known and opens the link in the letter, so none is sent. Ask your "
            "administrator to add it: the letter goes out then.",
        )
    if letter.state == Message.State.FAILED:
        return Problem(
            "letter_failed",
            "The letter to the patient did not go out, or may not have. “Unsent messages” says why, and sends it "
            "again; or tell the patient yourself.",
        )
    return None


def follow_patients(*, patients: Collection[uuid.UUID]) -> None:
    """Let the letters about these patients' cases be as what is now known of them.

    Those that were not sent go to the address; those that were not written for want of one are written, and those that
    failed for want of an address or a date of birth are sent. What was sent still says where to,
    unless `recall_letters` took it back.
    """
    letters = Message.objects.filter(case__patient__in=patients)
    address = Patient.objects.filter(cases=OuterRef("case")).values("email")
    letters.exclude(state=Message.State.SENT).update(recipient=Subquery(address))
    wanting = letters.filter(state=Message.State.FAILED, error__in=WANTING).exclude(recipient="")
    if wanting.exclude(kind=Message.Kind.RESULT_READY, case__patient__date_of_birth=None).update(**afresh()):
        ring(Task.DELIVER)
    untold = Case.objects.filter(patient__in=patients, released_at__isnull=False).select_related("patient", "batch")
    for case in untold.exclude(messages__kind=Message.Kind.RESULT_READY):
        tell_patient(case=case)


def recall_letters(*, patients: Collection[uuid.UUID]) -> None:
    """Take back the letters about these patients' results, which went to somebody else's address: their links open
    nothing any more, and they go out afresh, to the address that `follow_patients` gives them.
    """
    gone = Message.objects.filter(case__patient__in=patients, kind=Message.Kind.RESULT_READY)
    gone = gone.filter(state__in=[Message.State.SENDING, Message.State.SENT])
    if gone.update(**afresh(), **UNLEASED, sent_at=None, renewals=F("renewals") + 1):
        ring(Task.DELIVER)
    close_links(patients=patients)  # after the update, which waits for a letter that is being written


def forget_letters(*, case: Case) -> None:
    """Forget every letter about a case, sent or not, with its address. The links in them open nothing any more."""
    Message.objects.filter(case=case).delete()
    ResultLink.objects.filter(case=case).delete()  # after the letters: one that is being written has its link by now


def forget_sender(*, user: User) -> None:
    """Forget the letters that told this person of batches that they had sent, with the address."""
    Message.objects.filter(kind=Message.Kind.BATCH_COMPLETED, batch__created_by=user).delete()


def tell_patient_to_retake(*, case: Case) -> None:
    """Tell a patient who sent a photo that it cannot be used."""
    if case.batch.source == Batch.Source.PATIENT:
        _post(kind=Message.Kind.IMAGE_UNUSABLE, recipient=case.patient.email, batch=case.batch, case=case)


def tell_patient_of_cancelling(*, batch: Batch) -> None:
    """Tell a patient who sent a photo that their clinic has cancelled its check, where it has no answer yet."""
    if batch.source != Batch.Source.PATIENT:
        return
    for case in batch.cases.filter(answer=None, erased_at=None).select_related("patient"):
        if case.images.exclude(state=Image.State.PURGED).exists():  # whoever deleted their photos awaits nothing
            _post(kind=Message.Kind.CHECK_STOPPED, recipient=case.patient.email, batch=batch, case=case)


def _post(
    *, kind: str, recipient: str, batch: Batch, case: Case | None = None, send_after: datetime | None = None
) -> None:
    if not recipient:
        return
    # The constraint `message_sent_once` makes a repeat of the same news a no-op.
    Message.objects.bulk_create(
        [Message(kind=kind, recipient=recipient, batch=batch, case=case, send_after=send_after or timezone.now())],
        ignore_conflicts=True,
    )
    ring(Task.DELIVER)
