"""The pages to sign in with, in the house's words: one heading, and a way back."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, MembershipFactory, UserFactory
from webapp.accounts.models import User

pytestmark = pytest.mark.django_db
LIBRARYS = r"Sign In\b|Sign Up|\b[Ee]mail\b|[Rr]eauthenticat|Two-Factor|Deactivate|[Vv]erif|token"


@pytest.fixture
def person() -> User:
    user: User = MembershipFactory().user
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def check(html: str) -> None:
    """A page speaks in the house's words, under one heading, and leads back."""
    main = html.partition('id="main"')[2].partition("</main>")[0]
    words = re.sub(r"<[^>]*>", " ", main)
    assert main.count("<h1") == 1, words
    assert re.search(r"Back to|go back|: sign in|Sign in with a password|>Sign in</a>", main), words
    assert not re.search(LIBRARYS, words), words


@pytest.mark.parametrize(
    "address",
    [
        "login/", "signup/", "login/code/", "password/reset/", "password/reset/done/", "password/reset/key/1-forged/",
        "password/reset/key/done/", "inactive/",
    ],
)  # fmt: skip
def test_before_one_has_signed_in(client: Client, address: str) -> None:
    check(client.get(f"/account/{address}", follow=True).content.decode())


@pytest.mark.parametrize(
    "address",
    [
        "password/change/", "logout/", "email/", "reauthenticate/", "2fa/", "2fa/reauthenticate/",
        "2fa/totp/deactivate/", "2fa/recovery-codes/", "2fa/recovery-codes/generate/",
    ],
)  # fmt: skip
def test_after_it(client: Client, person: User, address: str) -> None:
    TOTP.activate(person, generate_totp_secret())
    RecoveryCodes.activate(person)
    client.force_login(person)
    asked = client.get(f"/account/{address}", follow=True)
    check(asked.content.decode())
    if asked.redirect_chain:  # who one is, before anything else
        client.post(asked.redirect_chain[-1][0], {"password": PASSWORD})
        shown = client.get(f"/account/{address}")
        assert shown.status_code == 200
        check(shown.content.decode())


def test_a_first_authenticator_app_and_a_first_password(client: Client, person: User) -> None:
    client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
    check(client.get(reverse("mfa_activate_totp")).content.decode())
    newcomer = UserFactory()
    newcomer.set_unusable_password()
    newcomer.save()
    client.force_login(newcomer)
    check(client.get(reverse("account_set_password")).content.decode())


def test_a_code_is_asked_for_and_one_that_is_wrong_says_what_to_do(client: Client, person: User) -> None:
    asked = client.post(reverse("account_request_login_code"), {"email": person.email}, follow=True)
    check(asked.content.decode())
    assert person.email in asked.content.decode()
    wrong = client.post(reverse("account_confirm_login_code"), {"code": "AAAAAA"}).content.decode()
    check(wrong)
    assert "That code is not right." in wrong
    new = Client().post(reverse("account_signup"), {"email": "new@home.example"}, follow=True).content.decode()
    check(new)
    assert "new@home.example" in new


def sign_in_with_a_code(client: Client, user: User) -> None:
    cache.clear()  # the limits of how often a code may be asked for
    client.post(reverse("account_request_login_code"), {"email": user.email})
    code = re.search(r"^\s*([A-Z0-9]{3,}(?:-?[A-Z0-9]+)*)\s*$", str(mail.outbox[-1].body), re.MULTILINE)
    assert code is not None
    client.post(reverse("account_confirm_login_code"), {"code": code[1]})


@pytest.mark.parametrize("second_factor", [False, True])
def test_staff_who_sign_in_with_a_code_are_signed_out_with_their_browser(
    client: Client, person: User, second_factor: bool
) -> None:
    if second_factor:
        TOTP.activate(person, generate_totp_secret())
        [code, *_] = RecoveryCodes.activate(person).generate_codes()  # unlike one by the clock, it is right for good
    sign_in_with_a_code(client, person)
    if second_factor:
        client.post(reverse("mfa_authenticate"), {"code": code})
    assert client.session["_auth_user_id"] == str(person.pk)
    assert client.session.get_expire_at_browser_close()
    assert not client.cookies["sessionid"]["max-age"]


def test_a_patient_stays_signed_in_on_their_phone(client: Client) -> None:
    user = UserFactory()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    sign_in_with_a_code(client, user)
    assert client.session["_auth_user_id"] == str(user.pk)
    assert not client.session.get_expire_at_browser_close()


def test_staff_who_want_to_be_remembered_are(client: Client, person: User) -> None:
    form = {"login": person.email, "password": PASSWORD}
    client.post(reverse("account_login"), {**form, "remember": "on"})
    assert not client.session.get_expire_at_browser_close()


def test_the_second_factor_is_asked_for(client: Client, person: User) -> None:
    TOTP.activate(person, generate_totp_secret())
    form = {"login": person.email, "password": PASSWORD}
    check(client.post(reverse("account_login"), form, follow=True).content.decode())
    wrong = Client().post(reverse("account_login"), {**form, "password": "wrong"}).content.decode()
    assert "is not right" in wrong
    assert 'label" for="id_login">E-mail address' in wrong


@pytest.mark.parametrize("known", [True, False])
def test_a_new_password_by_a_link(client: Client, person: User, known: bool) -> None:
    address = person.email if known else "nobody@home.example"
    check(client.post(reverse("account_reset_password"), {"email": address}, follow=True).content.decode())
    [letter] = mail.outbox
    assert not re.search(LIBRARYS, re.sub(r"https?://\S+", "", f"{letter.subject} {letter.body}"))
    if known:
        link = re.search(r"/account/password/reset/key/\S+", str(letter.body))
        assert link is not None
        check(client.get(link[0], follow=True).content.decode())
