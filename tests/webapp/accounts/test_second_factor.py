"""A site can demand a second factor of its staff."""

import os
import subprocess
import sys
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core import mail
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, MembershipFactory, PatientFactory, UserFactory
from tests.webapp.api.clinic import Clinic, good, problem
from webapp.accounts.models import User
from webapp.audit.models import Event

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


def add_app(client: Client, monkeypatch: pytest.MonkeyPatch) -> tuple[User, Any]:
    """A provider who signs in at `client` and adds an app, and the page that follows."""
    monkeypatch.setattr(auth, "yield_hotp_counters_from_time", lambda: iter([7]))  # the clock may step in between
    provider = staff("provider")
    client.post(reverse("account_login"), {"login": provider.email, "password": PASSWORD})
    secret = client.get(ACTIVATE).context["form"].secret
    return provider, client.post(ACTIVATE, {"code": format_hotp_value(hotp_value(secret, 7))}, follow=True)


@pytest.mark.django_db(transaction=True)  # the letter goes out on commit
def test_who_signed_in_just_now_adds_it_without_the_password_again_and_hears_of_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, done = add_app(client, monkeypatch)
    assert done.redirect_chain == [(reverse("mfa_view_recovery_codes"), 302)]
    [letter] = mail.outbox
    assert (letter.to, "An authenticator app was added" in letter.body) == ([provider.email], True)
    assert "asks staff for a second factor" not in done.content.decode()
    assert client.get("/batches/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_trail_of_the_clinic_says_whose_factor_came_and_went(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, _ = add_app(client, monkeypatch)
    client.post(reverse("mfa_generate_recovery_codes"))
    client.post(reverse("mfa_deactivate_totp"))
    trail = Event.objects.filter(organisation=provider.membership.organisation, user=provider)
    said = trail.filter(action="membership.changed").values_list("detail", flat=True)
    came_and_went = [("added", "recovery_codes"), ("added", "totp"), ("removed", "recovery_codes"), ("removed", "totp")]
    came_and_went += [("renewed", "recovery_codes")]
    assert sorted(said) == [f"second factor {change}: {factor}" for change, factor in came_and_went]


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


def test_what_codes_are_made_of_is_read_neither_in_the_database_nor_by_an_administrator(client: Client) -> None:
    member, secret = staff("provider"), generate_totp_secret()
    factor = TOTP.activate(member, secret)
    codes = RecoveryCodes.activate(member)
    assert secret not in str(factor.instance.data)
    assert factor.validate_code(format_hotp_value(hotp_value(secret, next(auth.yield_hotp_counters_from_time()))))
    assert codes.validate_code(codes.get_unused_codes()[0])
    administrator = staff("administrator")
    TOTP.activate(administrator, generate_totp_secret())
    client.force_login(administrator)
    page = client.get(reverse("admin:mfa_authenticator_change", args=[factor.instance.pk])).content.decode()
    assert member.email in page
    assert "secret" not in page
    assert client.get(reverse("admin:mfa_authenticator_add")).status_code == 403


def test_one_from_before_they_were_encrypted_holds() -> None:
    member, secret = staff("provider"), generate_totp_secret()
    factor = TOTP.activate(member, secret)
    factor.instance.data["secret"] = secret
    factor.instance.save()
    assert factor.validate_code(format_hotp_value(hotp_value(secret, next(auth.yield_hotp_counters_from_time()))))


@pytest.mark.parametrize("app_made_under", ["gone", "present"])
def test_where_no_key_reads_one_no_code_is_right_and_its_owner_is_told(
    client: Client, settings: Any, app_made_under: str
) -> None:
    member, ours = staff("provider"), settings.MFA_ADAPTER
    settings.SECRET_KEY = app_made_under
    TOTP.activate(member, generate_totp_secret())
    settings.SECRET_KEY = "gone"
    codes = RecoveryCodes.activate(member)
    settings.MFA_ADAPTER = "allauth.mfa.adapter.DefaultMFAAdapter"  # which takes what stands in a backup for the seed
    of_a_backup = codes.generate_codes()[0]
    settings.SECRET_KEY, settings.MFA_ADAPTER = "present", ours
    client.post(reverse("account_login"), {"login": member.email, "password": PASSWORD})
    answer = client.post(reverse("mfa_authenticate"), {"code": of_a_backup})
    assert answer.status_code == 200
    assert "cannot be read any more. Ask an administrator" in answer.content.decode()
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("how", ["delete", "selected"])
def test_the_trail_of_the_clinic_says_who_took_a_factor_away(client: Client, how: str) -> None:
    member, administrator = staff("provider"), staff("administrator")
    factor = TOTP.activate(member, generate_totp_secret()).instance
    TOTP.activate(administrator, generate_totp_secret())
    client.force_login(administrator)
    if how == "delete":
        client.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk]), {"post": "yes"})
    else:
        chosen = {"action": "delete_selected", "_selected_action": [factor.pk], "post": "yes"}
        client.post(reverse("admin:mfa_authenticator_changelist"), chosen)
    assert not Authenticator.objects.filter(user=member).exists()
    event = Event.objects.get(action="membership.changed")
    assert (event.user, event.object_id, event.organisation) == (
        administrator,
        str(member.pk),
        member.membership.organisation,
    )
    assert event.detail == "second factor removed: totp"


def test_a_setting_that_says_neither_stops_the_start() -> None:
    environment = {**os.environ, "LOCAL": "1", "REQUIRE_SECOND_FACTOR": "staff"}
    done = subprocess.run(
        [sys.executable, "-c", "import webapp.settings"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "REQUIRE_SECOND_FACTOR is 'staff'. Set it to one of 0, 1." in done.stderr
