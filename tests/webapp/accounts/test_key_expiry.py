"""Keys that work for a time: it is chosen when one is made, said in the list, and then they are refused."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import UserFactory
from webapp.accounts.models import ApiKey, Membership
from webapp.audit.models import Event

pytestmark = pytest.mark.django_db
KEYS = reverse("accounts:api_keys")
SOON = "Make another key for this software"


def made(client: Client, days: str) -> str:
    page = client.post(KEYS, {"name": "Ward software", "days": days})
    return str(page.context["secret"])


def ends_in(left: timedelta) -> None:
    # Half a minute more, so that the page is read within the minute that it names.
    ApiKey.objects.update(expires_at=timezone.now() + left + timedelta(seconds=30))


@pytest.mark.parametrize(("days", "left"), [("90", timedelta(days=90)), ("365", timedelta(days=365)), ("", None)])
def test_a_key_works_for_the_time_that_was_chosen(
    client: Client, provider: Membership, days: str, left: timedelta | None
) -> None:
    made(client, days)

    key = ApiKey.objects.get()
    assert (key.expires_at is None) == (left is None)
    if key.expires_at and left:
        assert abs(key.expires_at - key.created_at - left) < timedelta(minutes=1)
    page = client.get(KEYS).content.decode()
    assert f"{key.expires_at:%-d %b %Y, %H:%M}" in page if key.expires_at else "No set time</td>" in page
    assert "Expired" not in page
    assert SOON not in page


def test_another_time_is_not_taken(client: Client, provider: Membership) -> None:
    assert made(client, "-1") == ""
    assert not ApiKey.objects.exists()


def test_a_key_whose_time_is_over_is_refused_in_words_of_its_own(client: Client, provider: Membership) -> None:
    secret = made(client, "90")
    batches, asked = reverse("api:batch-list"), {"Authorization": f"Bearer {secret}"}
    software = Client()
    assert software.get(batches, headers=asked).status_code == 200

    ends_in(timedelta(days=-1))

    refused = software.get(batches, headers=asked)
    ended = ApiKey.objects.get().expires_at
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    told = refused.json()
    assert told["code"] == "api_key_expired"
    assert told["detail"] == f"This API key expired on {ended:%-d %B %Y}. Make a new one on the API keys page."

    wrong = software.get(batches, headers={"Authorization": f"Bearer {secret}x"})
    assert wrong.json()["code"] == "authentication_failed"  # who does not have the secret is told no date


def test_the_list_says_which_key_ends_soon_and_which_has_ended(client: Client, provider: Membership) -> None:
    made(client, "90")

    ends_in(timedelta(days=15))
    assert SOON not in client.get(KEYS).content.decode()

    ends_in(timedelta(days=13))
    page = client.get(KEYS).content.decode()
    assert "Expires in 1\xa0week, 6\xa0days. Make another key for this software before then." in page
    assert "Live" in page

    ends_in(timedelta(days=-1))
    page = client.get(KEYS).content.decode()
    assert "Expired" in page
    assert SOON not in page
    assert "Live" not in page
    assert reverse("accounts:revoke_key", args=[ApiKey.objects.get().pk]) not in page


def test_the_administration_does_not_warn_of_a_key_that_has_ended(client: Client, provider: Membership) -> None:
    made(client, "90")
    ends_in(timedelta(days=-1))
    client.force_login(UserFactory(is_superuser=True, is_staff=True))

    page = client.post(
        reverse("admin:accounts_membership_delete", args=[provider.pk]), {"post": "yes"}, follow=True
    ).content.decode()

    assert Event.objects.filter(action="membership.removed").exists()
    assert "still works" not in page
