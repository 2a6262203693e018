"""Letters of an account that the mail server does not take: a page says what to do, and no log whose they were."""

import io
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, OrganisationFactory, UserFactory
from webapp.accounts.models import User

pytestmark = pytest.mark.django_db
EMAIL = "jane.doe@home.example"


def refused(code: int) -> SMTPRecipientsRefused:
    return SMTPRecipientsRefused({EMAIL: (code, b"jane.doe is not here")})


@pytest.mark.parametrize("door", ["patient:join", "account_signup", "account_request_login_code"])
@pytest.mark.parametrize(
    ("error", "status"),
    [(refused(550), 422), (refused(450), 503), (SMTPServerDisconnected(), 503), (ConnectionRefusedError(), 503)],
)
def test_what_to_do_is_said_and_nobody_named(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch, door: str, error: OSError, status: int
) -> None:
    cache.clear()  # the limits of how often a code may be asked for
    if door == "account_request_login_code":
        UserFactory(email=EMAIL)

    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    address = reverse(door, args=[OrganisationFactory().slug] if door == "patient:join" else [])
    page = Client().post(address, {"email": EMAIL})

    assert page.status_code == status
    assert {422: "check its letters", 503: "try again"}[status] in page.content.decode()
    assert type(error).__name__ in log.getvalue()
    assert "jane" not in log.getvalue() + page.content.decode()


def without_password(client: Client) -> User:
    """Somebody who signs in with codes, at `client`."""
    user: User = UserFactory(email=EMAIL)
    user.set_unusable_password()
    user.save()
    EmailAddress.objects.create(user=user, email=EMAIL, verified=True, primary=True)
    client.force_login(user)
    return user


def test_the_owner_of_an_account_hears_how_it_is_signed_in_to_now(client: Client) -> None:
    """It may have been somebody else, who has found their phone open."""
    without_password(client)
    chosen = {"password1": PASSWORD, "password2": PASSWORD}
    client.post(reverse("account_set_password"), chosen)
    again = {"oldpassword": PASSWORD, "password1": f"{PASSWORD}-2", "password2": f"{PASSWORD}-2"}
    client.post(reverse("account_change_password"), again)

    first, second = mail.outbox
    assert first.to == second.to == [EMAIL]
    assert "Your account has a password now." in first.body
    assert "Your password was changed." in second.body
    assert f"\n{settings.SITE_URL}{reverse('account_reset_password')}\n" in first.body


def test_a_password_that_was_chosen_holds_although_its_owner_cannot_be_told(
    client: Client, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise refused(450)

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    user = without_password(client)
    page = client.post(reverse("account_set_password"), {"password1": PASSWORD, "password2": PASSWORD}, follow=True)

    assert "Your password was saved." in page.content.decode()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert "change_of_sign_in_not_told" in log.getvalue()
    assert "jane" not in log.getvalue()
