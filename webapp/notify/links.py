"""Links to a released result: secret, short-lived, and of no use without the date of birth."""

import hashlib
import secrets
import uuid
from collections.abc import Collection
from datetime import date, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from webapp.accounts.models import Patient
from webapp.audit.services import SYSTEM, Actor, record
from webapp.cases.models import Case
from webapp.errors import Problem
from webapp.notify.clinics import notify_case_raised
from webapp.notify.delivery import resend_fields
from webapp.notify.models import Message, ResultLink
from webapp.queue import Task, ring

TRIES = 5  # of a date of birth
RENEWAL_WAIT = timedelta(hours=1)
MAX_RENEWALS = 10
ENDED = (Message.State.SENT, Message.State.FAILED)


def make_result_link(*, case: Case) -> str:
    """A new link's secret token, to be put into the message that is being sent. Only its SHA-256 is kept."""
    token = secrets.token_urlsafe(32)
    ResultLink.objects.create(
        case=case,
        token_sha256=_digest(token),
        expires_at=timezone.now() + timedelta(days=settings.RESULT_LINK_DAYS),
        tries_left=TRIES,
    )
    return token


def close_links(*, patients: Collection[uuid.UUID]) -> None:
    """Forget every link to these patients' results: the letters that they came in lie in a mailbox of somebody else."""
    ResultLink.objects.filter(case__patient__in=patients).delete()
    _clear_lock(Q(patient__in=patients))


def unlock_links(*, patients: Collection[uuid.UUID]) -> None:
    """Let the dates of birth of these patients be tried again, where that had locked a link."""
    ResultLink.objects.filter(case__patient__in=patients, tries_left=0).update(tries_left=TRIES)
    _clear_lock(Q(patient__in=patients))


def find_link(token: str) -> ResultLink | None:
    """The link of this token, whether or not it still opens anything."""
    return ResultLink.objects.filter(token_sha256=_digest(token)).first()


def tries_left(*, link: ResultLink) -> int:
    """How many dates of birth may still be tried, at least one. Raises Problem `link_expired` or `link_locked`."""
    link.refresh_from_db()
    if link.expires_at <= timezone.now():
        raise Problem("link_expired", "This link is too old. You can ask for a new one.", status=410)
    if link.tries_left == 0:
        raise Problem("link_locked", "This link is locked. Please call your clinic.", status=403)
    return link.tries_left


def open_link(*, link: ResultLink, date_of_birth: date) -> bool:
    """Whether this date of birth opens the link. A wrong one costs a try, a right one gives the tries back.

    The try is paid before the answer is looked at, in one conditional UPDATE, so that many guesses at the same moment
    cannot outrun the count. With the last one the case waits for a clinician again. Raises the problems of
    `tries_left`.
    """
    now = timezone.now()
    usable = ResultLink.objects.filter(pk=link.pk, tries_left__gt=0, expires_at__gt=now)
    if not usable.update(tries_left=F("tries_left") - 1):
        tries_left(link=link)
        raise Problem("link_locked", "This link is locked. Please call your clinic.", status=403)
    right = link.case.patient.date_of_birth == date_of_birth
    if right:
        ResultLink.objects.filter(pk=link.pk).update(tries_left=TRIES)
        _clear_lock(Q(pk=link.case_id))
    _note(link.case, "result_link.opened" if right else "result_link.wrong_date")
    if not right and ResultLink.objects.filter(pk=link.pk, tries_left=0).exists():
        _locked(link.case)
    return right


@transaction.atomic
def _locked(case: Case) -> None:
    """Say, of several tries at one moment once, that the patient cannot open this result, and tell the clinic."""
    waiting = Case.objects.filter(pk=case.pk, released_at__isnull=False, link_locked_at=None)
    if waiting.update(link_locked_at=timezone.now()):
        notify_case_raised(batch=case.batch)


def _clear_lock(which: Q) -> int:
    """Mark the links of these cases as no longer locked; gives how many were."""
    return Case.objects.filter(which, link_locked_at__isnull=False).update(link_locked_at=None)


@transaction.atomic
def acknowledge_lock(*, actor: Actor, case: Case) -> None:
    """Mark a locked link as seen to: its patient was told of the result in another way. Twice changes nothing."""
    if _clear_lock(Q(pk=case.pk)):
        record(actor=actor, action="case.lock_seen_to", object_id=case.pk, organisation=case.organisation)


@transaction.atomic
def send_another_link(*, actor: Actor, case: Case) -> None:
    """Send the letter about a result once more, to a patient whose wrong dates of birth have locked the link in it.

    Raises Problem `link_not_locked` where none is: each costs whoever guesses a call to the clinic.
    """
    lock_patient(case)
    if not ResultLink.objects.filter(case=case, tries_left=0).delete()[0]:
        raise Problem("link_not_locked", "The link is not locked any more, so no other was sent.")
    _send_anew(Message.objects.filter(case=case, state__in=ENDED), case)
    _clear_lock(Q(pk=case.pk))
    record(actor=actor, action="case.link_sent_again", object_id=case.pk, organisation=case.organisation)


@transaction.atomic
def renew_link(*, case: Case) -> None:
    """Send the message about a result once more, with a new link, to the patient's address.

    Raises Problem `link_not_renewed` less than an hour after the last one, or when there were too many.
    """
    lock_patient(case)
    ended = Message.objects.filter(
        case=case, state__in=ENDED, send_after__lt=timezone.now() - RENEWAL_WAIT, renewals__lt=MAX_RENEWALS
    )
    if not _send_anew(ended, case):
        raise Problem(
            "link_not_renewed",
            "We cannot send another link now: one is on its way or was sent a short time ago, or too many were asked "
            "for. Please look in your inbox and spam folder, or call your clinic.",
        )
    _clear_lock(Q(pk=case.pk))
    _note(case, "result_link.renewed")


def _send_anew(letters: "QuerySet[Message]", case: Case) -> int:
    """Send those of these letters about a case that say that its result can be read, with a new link; how many."""
    ready = letters.filter(kind=Message.Kind.RESULT_READY)
    sent = ready.update(**resend_fields(), sent_at=None, renewals=F("renewals") + 1)
    if sent:
        ring(Task.DELIVER)
    return sent


def lock_patient(case: Case) -> Patient:
    """Lock the patient of a case before its letters and links, as who corrects or erases one does, so that no two wait
    for each other; as known now.
    """
    return Patient.objects.select_for_update(no_key=True).get(pk=case.patient_id)


def _note(case: Case, action: str) -> None:
    record(actor=SYSTEM, action=action, object_id=case.pk, organisation=case.organisation)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
