"""Who is told what. Writing a message is part of the transaction that gives rise to it; sending comes later."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import F, Max, OuterRef, Q, Subquery
from django.utils import timezone

from webapp.accounts.models import Membership, Organisation, Patient, User
from webapp.cases.models import TO_REVIEW, Batch, Case, Image
from webapp.errors import Problem
from webapp.leases import UNLEASED
from webapp.notify.delivery import afresh
from webapp.notify.letters import WANTING
from webapp.notify.links import close_links, unlock_links
from webapp.notify.models import Message, ResultLink
from webapp.queue import Task, ring

REVIEW_LETTERS_APART = timedelta(hours=1)  # of one kind to one reader


def tell_provider(*, batch: Batch) -> None:
    """Tell who sent a batch that it is complete; of a patient's photo the clinic, that a result waits for review."""
    if batch.source == Batch.Source.PATIENT:
        _tell_of_review(batch)
        return
    recipient = batch.created_by.email if batch.created_by else batch.organisation.contact_email
    _post(kind=Message.Kind.BATCH_COMPLETED, recipient=recipient, batch=batch)


def _tell_of_review(batch: Batch) -> None:
    organisation = _alone_in(batch)
    if batch.cases.filter(TO_REVIEW).exists():
        _post_at_most_hourly(kind=Message.Kind.REVIEW_WAITING, recipient=organisation.contact_email, batch=batch)


def tell_of_raised(*, batch: Batch) -> None:
    """Tell the clinic that a case of this batch waits for a clinician again."""
    for recipient in _who_looks_after(batch, _alone_in(batch)):
        _post_at_most_hourly(kind=Message.Kind.CASE_RAISED, recipient=recipient, batch=batch)


def _who_looks_after(batch: Batch, organisation: Organisation) -> list[str]:
    """The addresses of the clinic and of who sent the batch, while they are a provider there; where there is neither,
    of every provider: somebody must hear of it, however old the batch is.
    """
    providers = list(
        User.objects.filter(
            is_active=True, membership__organisation=organisation, membership__role=Membership.Role.PROVIDER
        ).order_by("pk")
    )
    sender = [one.email for one in providers if one.pk == batch.created_by_id]
    addresses = [one for one in dict.fromkeys([organisation.contact_email, *sender]) if one]
    return addresses or [one.email for one in providers]


def _alone_in(batch: Batch) -> Organisation:
    """The clinic of a batch, to which nobody else writes such a letter until this transaction ends."""
    return Organisation.objects.select_for_update(no_key=True).get(pk=batch.organisation_id)


def _post_at_most_hourly(*, kind: str, recipient: str, batch: Batch) -> None:
    """Post a letter an hour after the last of its kind from this clinic at the soonest: one that waits tells of all
    that came until it goes out. A batch that there was such a letter about has it written anew.
    """
    told = Message.objects.filter(recipient=recipient, kind=kind, batch__organisation=batch.organisation_id)
    if told.filter(state__in=[Message.State.PENDING, Message.State.SENDING]).exists():
        return
    last = told.aggregate(last=Max("send_after"))["last"]
    due = max(timezone.now(), last + REVIEW_LETTERS_APART) if last else timezone.now()
    anew = {**afresh(), "send_after": due, "sent_at": None, "renewals": F("renewals") + 1}
    if told.filter(batch=batch).update(**anew):
        ring(Task.DELIVER)
    else:
        _post(kind=kind, recipient=recipient, batch=batch, send_after=due)


def tell_patient(*, case: Case) -> None:
    """Tell the patient that a released result can be read."""
    _post(kind=Message.Kind.RESULT_READY, recipient=case.patient.email, batch=case.batch, case=case)


def why_not_told(*, case: Case) -> Problem | None:
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
        return Problem(
            "link_locked",
            "The link in the letter is locked, since the date of birth was wrong too often. Tell the patient yourself; "
            "or, if the date that is known is wrong, correct it on the case’s page: the link opens again then.",
        )
    return None


def follow_patients(*, patients: Collection[uuid.UUID]) -> None:
    """Let the letters about these patients' cases be as what is now known of them.

    Those that were not sent go to the address; those that were not written for want of one are written, and those that
    failed for want of an address or a date of birth are sent. What was sent still says where to,
    unless `recall_letters` took it back. A link that wrong dates of birth had locked can be tried again.
    """
    unlock_links(patients=patients)
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
    """Forget the letters that told this person of batches and their cases, with the address."""
    sent = Q(kind=Message.Kind.BATCH_COMPLETED, batch__created_by=user)
    clinics = Q(recipient=F("batch__organisation__contact_email"))
    Message.objects.filter(sent | Q(kind=Message.Kind.CASE_RAISED, recipient=user.email) & ~clinics).delete()


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
