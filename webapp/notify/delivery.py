"""The life of a message: pending, sending, then sent or failed. No message is ever sent twice.

A message is `sending`, leased and committed, before the mail server hears of it. If its worker then dies, nobody can
know whether the server took it. It is not sent again by itself: a patient must not get a second letter that looks like
a second result. It fails with an error that says so, and a person of the clinic may send it again. Whatever the mail
server has certainly not taken (it could not be reached, or it refused) is tried again later.
"""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from webapp.accounts.models import Organisation
from webapp.audit.services import Actor, record
from webapp.cases.models import NEEDS_REVIEW_AGAIN, TO_REVIEW, Batch, Case
from webapp.errors import Problem
from webapp.leases import UNLEASED, claim, expired
from webapp.notify.models import Message
from webapp.queue import Task, ring, ring_now

UNKNOWN = "It is unknown whether this message was sent: the connection or the worker was lost while it was sending."
UNREACHABLE = "The mail server could not be reached"  # how the error of a message begins, by which these are counted
ATTEMPTS = 15  # in about six hours, with the pauses below: four at the least, eight at the most
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
STILL_TO_REVIEW = {  # the cases that each delayed letter to a clinic is about: without one left it is withdrawn
    Message.Kind.REVIEW_WAITING: Q(TO_REVIEW, source=Batch.Source.PATIENT),
    Message.Kind.CASE_RAISED: NEEDS_REVIEW_AGAIN,
}
LEASE_SECONDS = 300  # far more than the time limits of one conversation with a mail server


def waiting_messages() -> Any:
    """Messages that are due, oldest first."""
    due = Message.objects.filter(state=Message.State.PENDING, send_after__lte=timezone.now())
    return due.order_by("send_after", "pk")


def claim_message() -> tuple[uuid.UUID, Message] | None:
    """Lease one due message, `sending` from now on; None where none is due."""
    token, leased = claim(waiting_messages(), limit=1, seconds=LEASE_SECONDS, state=Message.State.SENDING)
    return (token, leased[0]) if leased else None


def mark_sent(*, message: Message, token: uuid.UUID) -> bool:
    """The mail server has taken the message. False if the lease was lost."""
    return _finish(message, token, state=Message.State.SENT, sent_at=timezone.now(), error="")


def give_up(*, message: Message, token: uuid.UUID, error: str) -> bool:
    """The message cannot be sent, or may have been. False if the lease was lost."""
    return _finish(message, token, state=Message.State.FAILED, error=error)


@transaction.atomic
def withdraw_reviewed(*, message: Message, token: uuid.UUID) -> bool:
    """Forget a leased letter that something waits for a clinician, where nothing does by now: those of an hour are
    told of at once, and all may have been seen to meanwhile. False where there is something to tell.
    """
    if message.kind not in STILL_TO_REVIEW:
        return False
    clinic = message.batch.organisation_id
    Organisation.objects.select_for_update(no_key=True).get(pk=clinic)  # as the writer does: no case goes untold
    if Case.objects.filter(STILL_TO_REVIEW[Message.Kind(message.kind)], organisation=clinic).exists():
        return False
    _leased(message, token).delete()
    return True


def put_off(*, message: Message, token: uuid.UUID, error: str) -> bool:
    """The mail server has certainly not taken it: try again later, ever less often. False if the lease was lost."""
    if message.attempt >= ATTEMPTS:
        return give_up(message=message, token=token, error=error)
    later = timezone.now() + pause_after(message.attempt)
    return _finish(message, token, state=Message.State.PENDING, send_after=later, error=error)


def pause_after(attempt: int) -> timedelta:
    """How long to wait after this attempt (from 1): twice as long each time, spread so that not all come at once."""
    longest = min(FIRST_PAUSE * (1 << (attempt - 1)), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _finish(message: Message, token: uuid.UUID, **changes: Any) -> bool:
    return bool(_leased(message, token).update(**changes, **UNLEASED))


def _leased(message: Message, token: uuid.UUID) -> QuerySet[Message]:
    # No row: the lease ran out, and the sweep has said already that nobody knows.
    return Message.objects.filter(pk=message.pk, state=Message.State.SENDING, lease_token=token)


def resend_fields() -> dict[str, Any]:
    """The fields of Message that queue it to be sent now, with its attempts counted from 0."""
    now = timezone.now()
    return {"state": Message.State.PENDING, "attempt": 0, "created_at": now, "send_after": now, "error": ""}


def post(
    *, kind: str, recipient: str | None, batch: Batch, case: Case | None = None, send_after: datetime | None = None
) -> None:
    """Write a message, in the caller's transaction. A repeat of the same news, or nobody to tell, changes nothing. None
    as `recipient` is asked for when the message is sent.
    """
    if recipient == "":
        return
    due = send_after or timezone.now()
    # The constraint `message_sent_once` makes a repeat a no-op.
    Message.objects.bulk_create(
        [Message(kind=kind, recipient=recipient or "", batch=batch, case=case, send_after=due)], ignore_conflicts=True
    )
    ring(Task.DELIVER)


@transaction.atomic
def send_again(*, actor: Actor, message: Message) -> None:
    """A person sends a failed message again, knowing that it may arrive twice. Raises Problem `message_not_failed`."""
    failed = Message.objects.filter(pk=message.pk, state=Message.State.FAILED)
    if not failed.update(**resend_fields()):
        raise Problem("message_not_failed", "This message has not failed, so it is not sent again.")
    record(actor=actor, action="message.sent_again", object_id=message.pk, organisation=message.batch.organisation)
    ring(Task.DELIVER)


def sweep_messages() -> int:
    """Fail messages whose worker was lost while sending, and ring while messages are due; gives how many failed."""
    lost = Message.objects.filter(expired(), state=Message.State.SENDING)
    failed = lost.update(state=Message.State.FAILED, error=UNKNOWN, **UNLEASED)
    if waiting_messages().exists():
        ring_now(Task.DELIVER, again=True)
    return failed
