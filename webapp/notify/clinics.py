"""What clinics are told, in the transaction that gives rise to it: of what waits for them, once an hour at most."""

from datetime import timedelta

from django.db.models import F, Max, QuerySet
from django.utils import timezone

from webapp.accounts.models import Membership, Organisation, User
from webapp.cases.models import TO_REVIEW, Batch
from webapp.notify.delivery import post, resend_fields
from webapp.notify.models import Message
from webapp.queue import Task, ring

REVIEW_LETTERS_APART = timedelta(hours=1)  # of one kind to one reader


def notify_clinic(*, batch: Batch) -> None:
    """Tell who sent a batch that it is complete, while they are a provider of its clinic, and else the clinic; of a
    patient's photo the clinic, that a result waits for review.
    """
    if batch.source == Batch.Source.PATIENT:
        _notify_review_waiting(batch)
        return
    sender = _providers(batch.organisation).filter(pk=batch.created_by_id or 0).first()
    recipient = sender.email if sender else batch.organisation.contact_email
    post(kind=Message.Kind.BATCH_COMPLETED, recipient=recipient, batch=batch)


def _notify_review_waiting(batch: Batch) -> None:
    organisation = _lock_organisation(batch)
    if batch.cases.filter(TO_REVIEW).exists():
        for recipient in _recipients(batch, organisation):
            _post_at_most_hourly(kind=Message.Kind.REVIEW_WAITING, recipient=recipient, batch=batch)


def notify_case_raised(*, batch: Batch) -> None:
    """Tell the clinic that a case of this batch waits for a clinician again."""
    for recipient in _recipients(batch, _lock_organisation(batch)):
        _post_at_most_hourly(kind=Message.Kind.CASE_RAISED, recipient=recipient, batch=batch)


def _recipients(batch: Batch, organisation: Organisation) -> list[str]:
    """The addresses of the clinic and of who sent the batch, while they are a provider there; where there is neither,
    of every provider: somebody must hear of it, however old the batch is.
    """
    providers = list(_providers(organisation).order_by("pk"))
    sender = [one.email for one in providers if one.pk == batch.created_by_id]
    addresses = [one for one in dict.fromkeys([organisation.contact_email, *sender]) if one]
    return addresses or [one.email for one in providers]


def _providers(organisation: Organisation) -> "QuerySet[User]":
    """The providers of a clinic who may sign in."""
    role = Membership.Role.PROVIDER
    return User.objects.filter(is_active=True, membership__organisation=organisation, membership__role=role)


def _lock_organisation(batch: Batch) -> Organisation:
    """The clinic of a batch, locked, so that nobody else writes it such a letter until this transaction ends."""
    return Organisation.objects.select_for_update(no_key=True).get(pk=batch.organisation_id)


def _post_at_most_hourly(*, kind: str, recipient: str, batch: Batch) -> None:
    """Post a letter an hour after the last of its kind from this clinic at the soonest: one that waits tells of all
    that came until it goes out. A batch that there was such a letter about has it written anew.
    """
    earlier = Message.objects.filter(recipient=recipient, kind=kind, batch__organisation=batch.organisation_id)
    if earlier.filter(state__in=[Message.State.PENDING, Message.State.SENDING]).exists():
        return
    last = earlier.aggregate(last=Max("send_after"))["last"]
    due = max(timezone.now(), last + REVIEW_LETTERS_APART) if last else timezone.now()
    anew = {**resend_fields(), "created_at": due, "send_after": due, "sent_at": None, "renewals": F("renewals") + 1}
    if earlier.filter(batch=batch).update(**anew):
        ring(Task.DELIVER)
    else:
        post(kind=kind, recipient=recipient, batch=batch, send_after=due)
