"""A signed-in person's e-mail addresses, through HTTP."""

import re
from smtplib import SMTPRecipientsRefused
from typing import Any
from unittest.mock import Mock

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, PatientFactory, UserFactory
from webapp.accounts.models import User

pytestmark = pytest.mark.django_db
ADDRESSES = reverse("account_email")


@pytest.fixture
def person(client: Client) -> User:
    """Somebody who has just signed in, with one address."""
    user: User = UserFactory(email="old@home.example")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    return user


def confirm(client: Client, email: str) -> str:
    """Add an address, type the code that came there, and give the page that follows."""
    client.post(ADDRESSES, {"email": email, "action_add": ""})
    code = re.search(r"^[A-Z0-9-]{6,}$", str(mail.outbox[-1].body), re.MULTILINE)
    assert code is not None
    page = client.post(reverse("account_email_verification_sent"), {"code": code[0]}, follow=True)
    assert page.redirect_chain[-1][0] == ADDRESSES
    return page.content.decode()


def test_who_confirms_another_address_is_told_where_letters_go_and_how_to_change_it(
    client: Client, person: User
) -> None:
    html = confirm(client, "added@home.example")

    assert "added@home.example is confirmed. We write to the address that is marked “Main”" in html
    assert EmailAddress.objects.get(primary=True).email == person.email


def test_the_main_address_hears_of_another_that_signs_in_and_not_which(client: Client, person: User) -> None:
    confirm(client, "further@home.example")

    code, letter = mail.outbox
    assert (code.to, letter.to) == (["further@home.example"], [person.email])
    assert "Another e-mail address was added to your account." in letter.body
    assert "further@home.example" not in letter.body


def offers(client: Client) -> dict[str, list[str]]:
    """What the page offers to do with each address, by the address that stands in the form."""
    page = client.get(ADDRESSES).content.decode()
    lists = re.findall(r'name="email" value="([^"]+)">(.*?)</form>', page, re.DOTALL)
    return {email: re.findall(r'name="(action_\w+)"', form) for email, form in lists}


def test_each_address_offers_what_can_be_done_with_it(client: Client, person: User) -> None:
    assert offers(client) == {}  # of the only one nothing
    EmailAddress.objects.create(user=person, email="new@home.example")

    assert offers(client) == {"new@home.example": ["action_send", "action_remove"]}

    EmailAddress.objects.update(verified=True)
    assert offers(client) == {"new@home.example": ["action_primary", "action_remove"]}

    client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""})
    assert offers(client) == {"old@home.example": ["action_primary", "action_remove"]}

    client.post(ADDRESSES, {"email": "old@home.example", "action_remove": ""})
    assert "old@home.example was removed" in client.get(ADDRESSES).content.decode()
    assert offers(client) == {}


def test_the_address_before_hears_that_letters_go_elsewhere_but_not_where(client: Client, person: User) -> None:
    EmailAddress.objects.create(user=person, email="new@home.example", verified=True)

    client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""})

    assert EmailAddress.objects.get(primary=True).email == "new@home.example"
    [letter] = mail.outbox
    assert (letter.to, letter.subject) == (["old@home.example"], "LesionLens: Letters go to another address now")
    assert "make it the main one again" in letter.body
    assert "new@home.example" not in letter.body


def test_a_second_press_tells_the_new_address_nothing_of_letters_going_elsewhere(client: Client, person: User) -> None:
    EmailAddress.objects.create(user=person, email="new@home.example", verified=True)

    for _ in range(2):
        client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""})

    assert [letter.to for letter in mail.outbox] == [["old@home.example"]]


def test_a_second_press_does_what_a_first_that_broke_off_has_left(
    client: Client, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    EmailAddress.objects.create(user=person, email="new@home.example", verified=True)
    patient = PatientFactory(user=person, email="old@home.example")
    client.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr("webapp.accounts.receivers.follow_account", Mock(side_effect=OperationalError))
        assert client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""}).status_code >= 500

    client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""})

    patient.refresh_from_db()
    assert patient.email == "new@home.example"
    assert [letter.to for letter in mail.outbox] == [["old@home.example"]]


def test_no_address_takes_the_place_of_one_that_cannot_be_told(client: Client, person: User, settings: Any) -> None:
    EmailAddress.objects.create(user=person, email="new@home.example", verified=True)
    patient = PatientFactory(user=person, email="old@home.example")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # where nothing listens

    page = client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""}, follow=True).content.decode()

    assert "Your main address is as it was" in page
    assert "This is your main address now" not in page
    person.refresh_from_db()
    patient.refresh_from_db()
    assert [person.email, patient.email] == ["old@home.example"] * 2
    assert EmailAddress.objects.get(primary=True).email == "old@home.example"

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""})

    patient.refresh_from_db()
    assert patient.email == "new@home.example"
    assert [letter.to for letter in mail.outbox] == [["old@home.example"]]


@pytest.mark.parametrize(("code", "main"), [(450, "old@home.example"), (550, "new@home.example")])
def test_an_address_whose_server_refuses_it_for_good_is_replaced_untold(
    client: Client, person: User, monkeypatch: pytest.MonkeyPatch, code: int, main: str
) -> None:
    EmailAddress.objects.create(user=person, email="new@home.example", verified=True)
    patient = PatientFactory(user=person, email="old@home.example")

    def refuse(*_: object) -> int:
        raise SMTPRecipientsRefused({"old@home.example": (code, b"no such mailbox")})

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    client.post(ADDRESSES, {"email": "new@home.example", "action_primary": ""})

    patient.refresh_from_db()
    assert patient.email == EmailAddress.objects.get(primary=True).email == main
