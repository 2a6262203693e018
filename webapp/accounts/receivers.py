"""What follows where django-allauth says that something has happened."""

from typing import Any

import structlog
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, email_confirmed
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib import messages
from django.dispatch import Signal, receiver
from django.http import HttpRequest

from webapp.accounts.adapter import ADDRESS_ADDED, refused_for_good
from webapp.accounts.models import User
from webapp.accounts.services import follow_account, note_second_factor
from webapp.audit.services import Actor

logger = structlog.get_logger(__name__)
ADDRESS_KEPT = (
    "Your main address is as it was: the e-mail that tells its reader of the change could not be sent. "
    "Wait a minute, then try again."
)


@receiver(email_changed)
def address_changed(
    request: HttpRequest,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
    **_: Any,
) -> None:
    """Somebody chose another of their proven addresses: clinics write to that one, and the one before hears of it, in
    case it was somebody else at their device. Where it cannot be told, it stays the main one,
    unless its server says that nobody reads there any more. A second press tells nobody: it does what a first has left
    undone that broke off.
    """
    if from_email_address is not None and from_email_address != to_email_address:
        try:
            get_adapter().post("account/email/email_changed", from_email_address.email, {})
        except OSError as error:
            logger.warning("change_of_address_not_told", error=type(error).__name__)
            if not refused_for_good(error):
                from_email_address.set_as_primary()
                list(messages.get_messages(request))  # taken away: they say that it was changed
                messages.error(request, ADDRESS_KEPT)
                return
    follow_account(user=user, email=to_email_address.email)


@receiver(email_confirmed)
def address_confirmed(email_address: EmailAddress, **_: Any) -> None:
    """Somebody proved an address. Codes to sign in go to a further one, too, so the main one hears of it."""
    if not email_address.primary:
        get_adapter().send_notification_mail(ADDRESS_ADDED, email_address.user)


@receiver([authenticator_added, authenticator_reset, authenticator_removed])
def second_factor_changed(signal: Signal, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Somebody added a second factor of theirs, had new recovery codes, or took one off: as an administrator's hand, it
    is in the trail.
    """
    change = {authenticator_added: "added", authenticator_reset: "renewed", authenticator_removed: "removed"}[signal]
    note_second_factor(actor=Actor(user=user), factor=authenticator, change=change)
