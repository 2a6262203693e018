"""Letters of an account that the mail server does not take: a page says what to do, and no log whose they were."""

import io
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.factories import OrganisationFactory, UserFactory

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
