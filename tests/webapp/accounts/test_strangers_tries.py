"""A stranger's tries at an address leave its owner's."""

from collections.abc import Iterator

import pytest
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.core import mail
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse

from tests.factories import PASSWORD, OrganisationFactory, UserFactory
from webapp.accounts.models import User

pytestmark = pytest.mark.django_db
STRANGER, OWNER = "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def no_tries_before() -> Iterator[None]:
    """Of another test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def owner() -> User:
    user: User = UserFactory()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def signed_in(email: str, password: str, network: str) -> bool:
    client = Client(REMOTE_ADDR=network)
    client.post(reverse("account_login"), {"login": email, "password": password})
    return "_auth_user_id" in client.session


def strangers_tried(email: str, what: str, times: int) -> None:
    """As often as this within the hour, from networks of their own: no try before counts for `what`."""
    request = RequestFactory().post("/")
    ratelimit.clear(request, app="allauth.account", action=what, key=email)
    for network in range(times):
        stranger = RequestFactory(REMOTE_ADDR=f"198.51.100.{network}").post("/")
        assert ratelimit.consume(stranger, app="allauth.account", action=what, key=email)


@pytest.mark.parametrize("door", ["account_request_login_code", "patient:join"])
def test_codes_that_a_stranger_asks_for_are_not_the_owners(owner: User, door: str) -> None:
    address = reverse(door, args=[OrganisationFactory().slug] if door == "patient:join" else [])
    for _ in range(4):
        page = Client(REMOTE_ADDR=STRANGER).post(address, {"email": owner.email})
    assert "That was too often" in page.content.decode()
    assert "wrong tries" not in page.content.decode()
    assert len(mail.outbox) == 3

    Client(REMOTE_ADDR=OWNER).post(address, {"email": owner.email})

    assert len(mail.outbox) == 4


def test_from_many_networks_an_address_gets_no_flood_of_codes(owner: User) -> None:
    for network in range(20):
        for _ in range(3):
            address = f"198.51.100.{network}"
            Client(REMOTE_ADDR=address).post(reverse("account_request_login_code"), {"email": owner.email})
    assert len(mail.outbox) == 30


def test_a_strangers_wrong_passwords_do_not_refuse_the_owners_right_one(owner: User) -> None:
    for _ in range(6):
        assert not signed_in(owner.email, "wrong", STRANGER)
    assert not signed_in(owner.email, PASSWORD, STRANGER)
    tried = {"login": owner.email, "password": PASSWORD}
    told = Client(REMOTE_ADDR=STRANGER).post(reverse("account_login"), tried).content.decode()
    assert "Wait up to an hour" in told
    assert "sign in with a code by e-mail at once" in told
    assert signed_in(owner.email, PASSWORD, OWNER)


def test_from_many_networks_nobody_guesses_for_long_and_a_right_password_is_no_try(owner: User) -> None:
    for _ in range(12):
        assert signed_in(owner.email, PASSWORD, OWNER)
    for network in range(15):
        for _ in range(2):
            assert not signed_in(owner.email, "wrong", f"198.51.100.{network}")
    assert not signed_in(owner.email, PASSWORD, "198.51.100.99")


def test_a_right_password_that_is_refused_for_strangers_tries_uses_up_nothing_in_its_network(owner: User) -> None:
    strangers_tried(owner.email, "login_failed_anywhere", 30)
    for _ in range(10):
        assert not signed_in(owner.email, PASSWORD, OWNER)
    strangers_tried(owner.email, "login_failed_anywhere", 0)
    assert signed_in(owner.email, PASSWORD, OWNER)


def test_a_code_that_is_refused_for_strangers_asking_uses_up_nothing_in_its_network(owner: User) -> None:
    def ask() -> None:
        Client(REMOTE_ADDR=OWNER).post(reverse("account_request_login_code"), {"email": owner.email})

    strangers_tried(owner.email, "request_login_code", 30)
    for _ in range(4):
        ask()
    assert not mail.outbox
    strangers_tried(owner.email, "request_login_code", 0)
    ask()
    assert len(mail.outbox) == 1
