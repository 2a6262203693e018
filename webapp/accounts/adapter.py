"""How django-allauth signs people in here."""

import time
from collections.abc import Mapping
from smtplib import SMTPRecipientsRefused
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse

from webapp.accounts.models import User

logger = structlog.get_logger(__name__)
NO_MAILBOX = "No e-mail can be sent to this address: its server takes none for it. Go back and check its letters."
MAIL_AWAY = "Our e-mail cannot be sent just now. Wait a minute, then go back and try again."
ASK_AGAIN_SECONDS = 60
ADDRESS_ADDED = "account/email/email_added"
CHANGES = {  # of how an account is signed in to, by allauth's name of the letter about it
    ADDRESS_ADDED: "Another e-mail address was added to your account. Whoever reads e-mails there can sign in now.",
    "account/email/password_set": "Your account has a password now.",
    "account/email/password_changed": "Your password was changed.",
    "account/email/password_reset": "Your password was changed.",
    "mfa/email/totp_activated": "An authenticator app was added to your account.",
    "mfa/email/totp_deactivated": "The authenticator app was taken off your account.",
    "mfa/email/recovery_codes_generated": "Your account has new recovery codes.",
}


def refused_for_good(error: OSError) -> bool:
    """Whether the mail server refuses the address itself, and not only for now (RFC 5321, section 4.2.1)."""
    return isinstance(error, SMTPRecipientsRefused) and all(code >= 500 for code, _ in error.recipients.values())


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's own, in the house's words, and nobody is asked twice in a row for the same password."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "account_inactive": "This account is closed.",
        "email_password_mismatch": "The e-mail address or the password is not right. Try again, or ask for a code.",
        "email_taken": "There is an account with this e-mail address already.",
        "enter_current_password": "That is not your password now.",
        "incorrect_code": "That code is not right. Look in the newest e-mail.",
        "incorrect_password": "That password is not right.",
        "rate_limited": "That was too often. Please wait some minutes, then try again.",
        "too_many_login_attempts": "There were too many wrong tries. Wait up to an hour, then try again. In place of a "
        "password, you can sign in with a code by e-mail at once.",
    }

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count a try before the password is looked at, by address in one network, and then by address alone: a
        stranger's wrong passwords do not refuse its owner's right one, and nobody guesses for long from many networks.
        """
        super().pre_authenticate(request, **credentials)
        self._anywhere = ratelimit.consume(request, **self._tries_anywhere(credentials))
        if not self._anywhere:  # this try was not looked at, so it uses up nothing of its network's part
            super()._rollback_login_failed_rl_usage()
            raise self.validation_error("too_many_login_attempts")

    def _rollback_login_failed_rl_usage(self) -> None:
        super()._rollback_login_failed_rl_usage()
        self._anywhere.rollback()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{ratelimit.get_ip(request)}"

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        super()._delete_login_attempts_cached_email(request, **credentials)
        ratelimit.clear(request, **self._tries_anywhere(credentials))

    @staticmethod
    def _tries_anywhere(credentials: Mapping[str, Any]) -> dict[str, str]:
        return {"app": "allauth.account", "action": "login_failed_anywhere", "key": credentials["email"]}

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in. Staff who came by a code, which has no box to be remembered, are signed out with their browser."""
        super().login(request, user)
        by_password = any(record["method"] == "password" for record in get_authentication_records(request, user))
        if user.works_here and not by_password:
            request.session.set_expiry(0)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a letter, or answer with a page that says what to do where it cannot be sent. What the mail server says
        of it names the address, so it is kept out of the logs.
        """
        try:
            self.post(template_prefix, email, context)
        except OSError as error:
            logger.warning("letter_of_an_account_not_sent", error=type(error).__name__)
            status, told = (422, NO_MAILBOX) if refused_for_good(error) else (503, MAIL_AWAY)
            page = HttpResponse(render_to_string("unsent.html", {"told": told}), status=status)
            if status == 503:
                page.headers["Retry-After"] = str(ASK_AGAIN_SECONDS)
            raise ImmediateHttpResponse(page) from None

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell somebody how their account is signed in to now, in case it was somebody else at their device. It is
        done by then, so a letter that cannot be sent holds nothing up.
        """
        address = EmailAddress.objects.get_primary_email(user)
        if template_prefix not in CHANGES or not address:
            return
        reset = settings.SITE_URL + reverse("account_reset_password")
        try:
            self.post("account/email/sign_in_changed", address, {"change": CHANGES[template_prefix], "reset": reset})
        except OSError as error:
            logger.warning("change_of_sign_in_not_told", error=type(error).__name__)

    def post(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a letter. Raises OSError where that fails."""
        super().send_mail(template_prefix, email, context)

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        """Who is signed in and has confirmed a further address goes back to their addresses, to choose the main one."""
        if self.request.user.is_authenticated:
            return reverse("account_email")
        return str(super().get_email_verification_redirect_url(email_address))

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether to ask who this is before something sensitive of allauth's `app`.

        allauth counts only what was given for such a question. A password that was given to sign in, in this session
        and no longer ago, proves as much; a code by e-mail does not.
        """
        oldest = time.time() - REAUTHENTICATION_TIMEOUT
        records = get_authentication_records(self.request, self.request.user)
        if any(record["method"] == "password" and record["at"] > oldest for record in records):
            return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))
