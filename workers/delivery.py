"""Sends what lies in the outbox, one message at a time, each in a conversation of its own with the mail server.

A connection that is kept for the next message may be dead by then, and a message given to a dead connection is one
of which nobody knows whether it was sent.
"""

import smtplib
import time
import uuid
from contextlib import suppress

import structlog
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage

from webapp.notify.delivery import UNKNOWN, UNREACHABLE, claim_message, give_up, mark_sent, put_off, withdraw_reviewed
from webapp.notify.letters import UndeliverableError, compose
from webapp.notify.models import Message
from webapp.queue import Task, ring_now
from workers.task import RUN_SECONDS, task

logger = structlog.get_logger(__name__)


@task(Task.DELIVER, soft_limit=300, hard_limit=330, alone=True)
def deliver() -> None:
    """Send due messages until none is left, or the mail server is away: the others then keep their attempts."""
    stop_at = time.monotonic() + RUN_SECONDS
    while time.monotonic() < stop_at:
        claimed = claim_message()
        if claimed is None:
            return
        token, message = claimed
        if not send(message, token):
            return
    ring_now(Task.DELIVER)


def send(message: Message, token: uuid.UUID) -> bool:
    """Send one leased message and write down what became of it. False where the mail server is away."""
    if withdraw_reviewed(message=message, token=token):
        return True
    try:
        email = compose(message)
    except UndeliverableError as reason:
        give_up(message=message, token=token, error=str(reason))
        return True
    except Exception as error:
        logger.exception("message_not_written", message=message.pk, error=type(error).__name__)
        put_off(message=message, token=token, error=f"The message could not be written ({type(error).__name__}).")
        return True
    connection = get_connection()
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("mail_server_away", message=message.pk, error=type(error).__name__)
        put_off(message=message, token=token, error=f"{UNREACHABLE} ({type(error).__name__}).")
        return False
    try:
        _hand_over(connection, email, message, token)
    finally:
        with suppress(Exception):  # the server has taken the message; how it says goodbye changes nothing
            connection.close()
    return True


def _hand_over(connection: BaseEmailBackend, email: EmailMessage, message: Message, token: uuid.UUID) -> None:
    """Give the message to the server. Only a refusal that the server spoke is certain; all else is unknown."""
    try:
        connection.send_messages([email])
    except smtplib.SMTPRecipientsRefused as error:
        _refused(message, token, max(code for code, _ in error.recipients.values()))
    except smtplib.SMTPResponseException as error:
        _refused(message, token, error.smtp_code)
    except Exception as error:
        logger.exception("message_lost", message=message.pk, error=type(error).__name__)
        give_up(message=message, token=token, error=UNKNOWN)
    else:
        written = mark_sent(message=message, token=token)
        logger.info("message_sent", message=message.pk, kind=message.kind, written=written)


def _refused(message: Message, token: uuid.UUID, code: int) -> None:
    """The server's own refusal: 5xx is for good, 4xx for now (RFC 5321, section 4.2.1); other codes are no answer."""
    logger.warning("message_refused", message=message.pk, code=code)
    if not 400 <= code < 600:
        give_up(message=message, token=token, error=UNKNOWN)
        return
    outcome = give_up if code >= 500 else put_off
    outcome(message=message, token=token, error=f"The mail server refused the message (code {code}).")
