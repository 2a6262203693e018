"""A clinic's pages for its keys and settings, and the pages to sign in with."""

from typing import Any

import pytest
from allauth.account.adapter import get_adapter
from django.test import Client, RequestFactory
from django.urls import reverse
from rest_framework.views import APIView

from tests.factories import PASSWORD, MembershipFactory, UserFactory, api_key
from tests.webapp.forms import as_shown
from webapp.accounts.models import ApiKey, Membership, Organisation
from webapp.accounts.services import find_api_key
from webapp.api.throttling import PerClient
from webapp.audit.models import Event

pytestmark = pytest.mark.django_db
KEYS = reverse("accounts:api_keys")


def test_a_new_key_is_shown_once_and_works(client: Client, provider: Membership) -> None:
    page = client.post(KEYS, {"name": "Ward software"})

    secret = page.context["secret"]
    assert secret in page.content.decode()
    assert secret not in client.get(KEYS).content.decode()
    found = find_api_key(secret)
    assert found is not None
    assert (found.organisation, found.created_by) == (provider.organisation, provider.user)
    assert "no-store" in page["Cache-Control"]


def test_a_page_that_is_reloaded_makes_no_second_key(client: Client, provider: Membership) -> None:
    page = client.post(KEYS, {"name": "Ward software"})
    again = client.post(KEYS, {"name": "Ward software"})

    assert "A key of this name is in the list below and was never used." in again.content.decode()
    key = ApiKey.objects.get()
    assert find_api_key(page.context["secret"]) == key
    client.post(KEYS, {"name": "Ward software"})  # in the place of one that software uses
    assert ApiKey.objects.count() == 2


def test_a_key_without_a_name_is_not_made(client: Client, provider: Membership) -> None:
    page = client.post(KEYS, {"name": ""})

    assert "is-invalid" in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_revoked_key_is_refused(client: Client, provider: Membership) -> None:
    key, secret = api_key(organisation=provider.organisation)

    client.post(reverse("accounts:revoke_key", args=[key.pk]))

    assert find_api_key(secret) is None
    assert "Revoked" in client.get(KEYS).content.decode()


def test_another_clinics_key_is_not_there(client: Client, provider: Membership) -> None:
    key, secret = api_key()

    response = client.post(reverse("accounts:revoke_key", args=[key.pk]))

    assert response.status_code == 404
    assert find_api_key(secret) is not None
    assert key.prefix not in client.get(KEYS).content.decode()


def test_settings_are_saved_and_audited(client: Client, provider: Membership) -> None:
    address = reverse("accounts:organisation")
    assert "reach patients before anybody at your clinic has read them" in client.get(address).content.decode()

    client.post(address, {"release_policy": "automatic", "help_phone": "0123", "contact_email": ""})

    clinic = Organisation.objects.get(pk=provider.organisation.pk)
    assert (clinic.release_policy, clinic.help_phone) == ("automatic", "0123")
    assert Event.objects.filter(action="organisation.changed", user=provider.user).exists()
    assert f"/join/{clinic.slug}/" in client.get(address).content.decode()


@pytest.mark.parametrize(("days", "kept"), [("", None), ("1", 1), ("365", 365)])
def test_a_clinic_says_how_long_it_keeps_photos(
    client: Client, provider: Membership, days: str, kept: int | None
) -> None:
    Organisation.objects.update(retention_days=7)

    said = as_shown(client.get(reverse("accounts:organisation")).content.decode())
    client.post(reverse("accounts:organisation"), {**said, "retention_days": days})

    assert Organisation.objects.get().retention_days == kept
    assert Event.objects.get(action="organisation.changed").detail.endswith(f"retention_days={kept}")


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "32768", "soon"])
def test_a_period_that_is_none_changes_nothing(client: Client, provider: Membership, days: str) -> None:
    page = client.post(reverse("accounts:organisation"), {"release_policy": "automatic", "retention_days": days})

    assert "is-invalid" in page.content.decode()
    assert list(Organisation.objects.values_list("release_policy", "retention_days")) == [("manual", None)]
    assert not Event.objects.exists()


@pytest.mark.parametrize("role", ["annotator", "operator", "patient"])
def test_other_roles_do_not_enter(client: Client, role: str) -> None:
    client.force_login(UserFactory() if role == "patient" else MembershipFactory(role=role).user)

    assert client.get(KEYS).status_code == 403
    assert client.get(reverse("accounts:organisation")).status_code == 403


def test_a_visitor_is_asked_to_sign_in(client: Client) -> None:
    assert client.get(KEYS).status_code == 302


@pytest.mark.parametrize(
    "name", ["account_login", "account_signup", "account_reset_password", "account_request_login_code"]
)
def test_allauth_speaks_in_the_house_look(client: Client, name: str) -> None:
    page = client.get(reverse(name)).content.decode()

    assert "form-control" in page
    assert "pages/lens" in page


@pytest.mark.parametrize(
    "name", ["account_email", "account_change_password", "mfa_index", "mfa_activate_totp", "account_logout"]
)
def test_allauth_pages_of_a_signed_in_person(client: Client, name: str) -> None:
    user = UserFactory()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    client.force_login(user)

    page = client.get(reverse(name), follow=True)

    assert page.status_code == 200
    assert "pages/lens" in page.content.decode()


def test_administrators_sign_in_by_the_one_door_that_has_limits_and_a_second_factor(client: Client) -> None:
    page = client.get("/admin/", follow=True)

    assert page.redirect_chain[-1][0].startswith(reverse("account_login"))
    assert client.post("/admin/login/", {"username": "a@b.example", "password": PASSWORD}).status_code == 302

    client.force_login(UserFactory())
    assert client.get("/admin/", follow=True).status_code == 403


def test_an_address_that_a_client_makes_up_is_not_counted_by(rf: RequestFactory) -> None:
    """No proxy of ours stands before this site, so nobody else may say where a request comes from."""
    request = rf.get("/", headers={"X-Forwarded-For": "203.0.113.9"})

    assert get_adapter().get_client_ip(request) == "127.0.0.1"
    assert PerClient().get_ident(APIView().initialize_request(request)) == "127.0.0.1"


def test_behind_our_proxy_the_address_that_it_forwards_counts(rf: RequestFactory, settings: Any) -> None:
    """Else all people would share the limits of one address, and one of them could lock out the others."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    request = rf.get("/", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})

    assert get_adapter().get_client_ip(request) == "203.0.113.9"
