"""A site can demand a second factor of its staff."""

import os
import subprocess
import sys
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, MembershipFactory, PatientFactory, UserFactory
from tests.webapp.api.clinic import Clinic, good, problem
from webapp.accounts.models import User

pytestmark = pytest.mark.django_db
ACTIVATE = reverse("mfa_activate_totp")


@pytest.fixture(autouse=True)
def _demanded(settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = True


def staff(role: str) -> User:
    user: User
    if role == "administrator":
        user = UserFactory(is_staff=True, is_superuser=True)
    else:
        user = MembershipFactory(role=role).user
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


@pytest.mark.parametrize("role", ["provider", "annotator", "operator", "administrator"])
def test_staff_without_one_are_led_to_add_it(client: Client, role: str) -> None:
    client.post(reverse("account_login"), {"login": staff(role).email, "password": PASSWORD})
    for address in ("/batches/", "/labels/", "/models/", "/admin/", "/"):
        assert client.get(address).headers["Location"] == ACTIVATE
    page = client.get(ACTIVATE)
    assert page.status_code == 200
    assert page.content.decode().count("Your site asks staff for a second factor.") == 1
    assert client.post(reverse("account_logout")).status_code == 302
    assert client.get("/").status_code == 200


def test_who_signed_in_just_now_adds_it_without_the_password_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "yield_hotp_counters_from_time", lambda: iter([7]))  # the clock may step in between
    provider = staff("provider")
    client.post(reverse("account_login"), {"login": provider.email, "password": PASSWORD})
    secret = client.get(ACTIVATE).context["form"].secret
    code = format_hotp_value(hotp_value(secret, 7))
    done = client.post(ACTIVATE, {"code": code}, follow=True)
    assert done.redirect_chain == [(reverse("mfa_view_recovery_codes"), 302)]
    assert "asks staff for a second factor" not in done.content.decode()
    assert client.get("/batches/").status_code == 200


@pytest.mark.parametrize("changed", [{"at": 0}, {"method": "code"}])
def test_a_password_given_long_ago_or_none_is_asked_for(client: Client, changed: dict[str, Any]) -> None:
    client.post(reverse("account_login"), {"login": staff("provider").email, "password": PASSWORD})
    session = client.session
    session["account_authentication_methods"][0].update(changed)
    session.save()
    assert client.get(ACTIVATE).headers["Location"].startswith(reverse("account_reauthenticate"))


def test_staff_with_one_sign_in_with_it_and_enter(client: Client) -> None:
    provider = staff("provider")
    TOTP.activate(provider, generate_totp_secret())
    answer = client.post(reverse("account_login"), {"login": provider.email, "password": PASSWORD})
    assert answer.headers["Location"].startswith(reverse("mfa_authenticate"))
    assert client.get("/batches/").headers["Location"].startswith(reverse("account_login"))
    client.force_login(provider)
    assert client.get("/batches/").status_code == 200


def test_a_page_without_one_cannot_use_the_api_and_software_with_a_key_can(client: Client) -> None:
    client.force_login(staff("provider"))
    assert problem(client.get("/api/v1/batches"), 403)["code"] == "second_factor_required"
    good(Clinic().get("/batches"))


def test_patients_are_not_asked(client: Client) -> None:
    client.force_login(PatientFactory(user=UserFactory()).user)
    assert client.get("/my/").status_code == 200


def test_unless_a_site_demands_it_nobody_is_asked(client: Client, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = False
    client.force_login(staff("provider"))
    assert client.get("/batches/").status_code == 200


def test_a_setting_that_says_neither_stops_the_start() -> None:
    environment = {**os.environ, "LOCAL": "1", "REQUIRE_SECOND_FACTOR": "staff"}
    done = subprocess.run(
        [sys.executable, "-c", "import webapp.settings"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "REQUIRE_SECOND_FACTOR is 0, or 1" in done.stderr
