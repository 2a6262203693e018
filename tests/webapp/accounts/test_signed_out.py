"""What a page that renews its parts is told once nobody is signed in any more."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
PAGE = "/batches/?state=open"
HTMX = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{PAGE}"}
BACK = f"?next={quote(PAGE)}"


def test_a_press_leaves_for_the_page_to_sign_in_at_and_comes_back(client: Client) -> None:
    for address in (reverse("models:roll_back", args=[1]), reverse("cases:batch_cancel", args=[uuid4()])):
        answer = client.post(address, headers=HTMX)
        assert answer.headers["HX-Redirect"] == reverse("account_login") + BACK
        assert not answer.content


def test_a_form_is_followed_by_its_page_and_not_by_an_address_that_takes_only_forms(client: Client) -> None:
    address = reverse("cases:batch_cancel", args=[uuid4()])
    answer = client.post(address, headers={"Referer": f"http://testserver{PAGE}"})
    assert answer.headers["Location"] == reverse("account_login") + BACK
    assert "did not arrive" in client.get(answer.headers["Location"]).content.decode()
    for elsewhere in ("https://elsewhere.example/batches/", "http://testserver.example/", "http://[", ""):
        answer = client.post(address, headers={"Referer": elsewhere})
        assert answer.headers["Location"] == f"{reverse('account_login')}?next=/"


@pytest.mark.parametrize(
    ("address", "door"),
    [
        (reverse("operations:queues"), "account_login"),
        (reverse("cases:batch_progress", args=[uuid4()]), "account_login"),
        (reverse("patient:case", args=[uuid4()]), "account_request_login_code"),
    ],
    ids=["queues", "batch", "case"],
)
def test_a_part_that_renews_itself_stops_and_says_where_to_sign_in(client: Client, address: str, door: str) -> None:
    answer = client.get(address, headers=HTMX)
    assert answer.status_code == 286  # htmx's word for an end
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#messages", "innerHTML")
    html = answer.content.decode()
    assert f'href="{reverse(door)}{BACK}"' in html
    assert f'id="{answer.headers["HX-Reselect"].removeprefix("#")}"' in html
    assert "<form" not in html


def test_nobody_is_sent_back_to_another_site(client: Client) -> None:
    headers = {**HTMX, "HX-Current-URL": "https://elsewhere.example/batches/"}
    answer = client.post(reverse("models:roll_back", args=[1]), headers=headers)
    assert answer.headers["HX-Redirect"] == f"{reverse('account_login')}?next=/"


def test_who_must_add_a_second_factor_leaves_for_its_page(client: Client, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = True
    client.force_login(MembershipFactory(role="operator").user)
    answer = client.get(reverse("operations:queues"), headers=HTMX)
    assert answer.headers["HX-Redirect"] == reverse("mfa_activate_totp")
