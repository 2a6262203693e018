"""What follows where django-allauth says that something has happened."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed
from django.dispatch import receiver

from webapp.accounts.models import User
from webapp.accounts.services import follow_account


@receiver(email_changed)
def address_changed(
    user: User, from_email_address: EmailAddress | None, to_email_address: EmailAddress, **_: Any
) -> None:
    """Somebody chose another of their proven addresses: clinics write to that one, and the one before hears of it, in
    case it was somebody else at their device.
    """
    if from_email_address == to_email_address:  # a second press
        return
    follow_account(user=user, email=to_email_address.email)
    if from_email_address is not None:
        get_adapter().send_mail("account/email/email_changed", from_email_address.email, {})
