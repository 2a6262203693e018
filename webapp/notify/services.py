"""What patients are told. Writing a message is part of the transaction that gives rise to it; sending comes later."""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from webapp.accounts.models import Patient, User
from webapp.cases.models import Batch, Case, Image
from webapp.errors import Problem
from webapp.leases import UNLEASED
from webapp.notify.delivery import post, resend_fields
from webapp.notify.letters import MISSING_DETAILS
from webapp.notify.links import close_links, unlock_links
from webapp.notify.models import Message, ResultLink
from webapp.queue import Task, ring

LOCKED = (
    "The link in the letter is locked, since the date of birth was wrong too often. Tell the patient the result "
    "yourself, or send another link on the case’s page. If the date that is known is wrong, correct it there: the link "
    "opens again then."
)


def notify_patient_of_result(*, case: Case) -> None:
    """Queue the letter that tells the patient that a released result can be read."""
    known: str | None = case.patient.email
    if not known:  # somebody may be adding it in this moment; who does so later waits for this, and tells the patient
        others_wait = Patient.objects.select_for_update(no_key=True, skip_locked=True)
        known = others_wait.filter(pk=case.patient_id).values_list("email", flat=True).first()
    post(kind=Message.Kind.RESULT_READY, recipient=known, batch=case.batch, case=case)


def reason_not_notified(*, case: Case) -> Problem | None:
    """Why the patient of a released case gets no letter, or cannot read the result by its link: `no_email`,
    `no_date_of_birth`, `letter_failed` or `link_locked`; None where neither is so.
    """
    letters = Message.objects.filter(kind=Message.Kind.RESULT_READY, case=case)
    letter = letters.order_by("-pk").only("state", "recipient").first()
    if letter is None or not letter.recipient:
        return Problem(
            "no_email",
            "No e-mail address of the patient is known, so nobody was told. Tell the patient yourself, or add the "
            "address on the case’s page: the letter goes out then.",
        )
    if case.patient.date_of_birth is None:
        return Problem(
            "no_date_of_birth",
            "The patient's date of birth is not known and opens the link in the letter, so none is sent. Add it on "
            "the case’s page: the letter goes out then.",
        )
    if letter.state == Message.State.FAILED:
        return Problem(
            "letter_failed",
            "The letter to the patient did not go out, or may not have. “Unsent messages” says why, and sends it "
            "again; or tell the patient yourself.",
        )
    links = ResultLink.objects.filter(case=case, expires_at__gt=timezone.now())  # of an older one they ask for another
    if (link := links.order_by("-pk").only("tries_left").first()) and not link.tries_left:
        return Problem("link_locked", LOCKED)
    return None


def letter_sent_at(*, case: Case) -> datetime | None:
    """When the letter about a released case went out, the newest of several; None while it has not."""
    letters = Message.objects.filter(kind=Message.Kind.RESULT_READY, case=case)
    return letters.order_by("-pk").values_list("sent_at", flat=True).first()


def update_letters(*, patients: Collection[uuid.UUID]) -> None:
    """Update the letters about these patients' cases after their address or date of birth has changed.

    Those that were not sent go to the address; those that were not written for want of one are written, and those that
    failed for want of an address or a date of birth are sent. What was sent, or is being sent, still says where to,
    unless `recall_letters` took it back. A link that wrong dates of birth had locked can be tried again.
    """
    unlock_links(patients=patients)
    letters = Message.objects.filter(case__patient__in=patients)
    address = Patient.objects.filter(cases=OuterRef("case")).values("email")
    unsent, sent = letters.exclude(state=Message.State.SENT), letters.filter(state=Message.State.SENT)
    same = sent.filter(kind=OuterRef("kind"), case=OuterRef("case"), recipient=OuterRef("case__patient__email"))
    unsent.filter(Exists(same)).delete()  # who goes back to an address has that news there
    unsent.exclude(state=Message.State.SENDING).update(recipient=Subquery(address))
    wanting = letters.filter(state=Message.State.FAILED, error__in=MISSING_DETAILS).exclude(recipient="")
    if wanting.exclude(kind=Message.Kind.RESULT_READY, case__patient__date_of_birth=None).update(**resend_fields()):
        ring(Task.DELIVER)
    unnotified = Case.objects.filter(patient__in=patients, released_at__isnull=False).select_related("patient", "batch")
    for case in unnotified.exclude(messages__kind=Message.Kind.RESULT_READY):
        notify_patient_of_result(case=case)


def recall_letters(*, patients: Collection[uuid.UUID]) -> None:
    """Take back the letters about these patients' results, which went to somebody else's address: their links open
    nothing any more, and they go out afresh, to the address that `update_letters` gives them.
    """
    gone = Message.objects.filter(case__patient__in=patients, kind=Message.Kind.RESULT_READY)
    gone = gone.filter(state__in=[Message.State.SENDING, Message.State.SENT])
    if gone.update(**resend_fields(), **UNLEASED, sent_at=None, renewals=F("renewals") + 1):
        ring(Task.DELIVER)
    close_links(patients=patients)  # after the update, which waits for a letter that is being written


def forget_letters(*, case: Case) -> None:
    """Forget every letter about a case, sent or not, with its address. The links in them open nothing any more."""
    Message.objects.filter(case=case).delete()
    ResultLink.objects.filter(case=case).delete()  # after the letters: one that is being written has its link by now


def forget_sender(*, user: User) -> None:
    """Forget the letters that told this person of batches and their cases, with the address."""
    sent = Q(kind=Message.Kind.BATCH_COMPLETED, batch__created_by=user)
    clinics = Q(recipient=F("batch__organisation__contact_email"))
    waits = Q(kind__in=[Message.Kind.REVIEW_WAITING, Message.Kind.CASE_RAISED], recipient=user.email)
    Message.objects.filter(sent | waits & ~clinics).delete()


def notify_patient_to_retake(*, case: Case) -> None:
    """Tell a patient who sent a photo that it cannot be used."""
    if case.source == Batch.Source.PATIENT:
        post(kind=Message.Kind.IMAGE_UNUSABLE, recipient=case.patient.email, batch=case.batch, case=case)


def notify_patient_of_cancellation(*, batch: Batch) -> None:
    """Tell a patient who sent a photo that their clinic has cancelled its check, where it has no answer yet."""
    if batch.source != Batch.Source.PATIENT:
        return
    for case in batch.cases.filter(answer=None, erased_at=None).select_related("patient"):
        if case.images.exclude(state=Image.State.PURGED).exists():  # whoever deleted their photos awaits nothing
            post(kind=Message.Kind.CHECK_STOPPED, recipient=case.patient.email, batch=batch, case=case)
