"""The start page, the navigation, and the pages for errors."""

import html
import re
from pathlib import Path

import pytest
from django.templatetags.static import static
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.factories import MembershipFactory, UserFactory
from webapp.accounts.models import Membership
from webapp.pages.navigation import ITEMS, home_of

ROOT = Path(__file__).parents[3]


def test_a_visitor_reads_what_it_is_and_can_sign_in(client: Client, db: None) -> None:
    page = client.get("/").content.decode()

    assert "It is not a diagnosis" in page
    assert "/account/login/" in page
    assert "Supports a professional's decision; not a diagnosis." in page


def test_a_page_that_is_not_there_says_so_in_the_house_look(client: Client, db: None) -> None:
    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()
    assert "what was here may have been deleted" in response.content.decode()


def test_an_administrator_reads_how_to_get_the_role_that_a_page_belongs_to(client: Client, db: None) -> None:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    refused = client.get("/models/")
    assert refused.status_code == 403
    assert reverse("admin:accounts_membership_add") in refused.content.decode()
    assert "The models are an operator's" in refused.content.decode()
    client.force_login(MembershipFactory(role="provider").user)
    page = client.get("/models/").content.decode()
    assert "ask your administrator" in page
    assert "/admin/" not in page


def test_a_form_without_its_token_says_what_to_do() -> None:
    response = Client(enforce_csrf_checks=True).post("/account/logout/")

    assert response.status_code == 403
    assert "This form had expired" in response.content.decode()


def test_who_tries_too_often_reads_so_in_the_house_look(client: Client, db: None, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"change_password": "1/m/user"}
    client.force_login(UserFactory())
    address = reverse("account_change_password")

    client.post(address, {})
    response = client.post(address, {})

    assert response.status_code == 429
    assert "Wait a minute, then go back and try again." in response.content.decode()
    assert "pages/lens" in response.content.decode()


def test_who_reads_how_to_use_the_api_hears_of_the_worked_client(client: Client, db: None) -> None:
    named = re.findall("<code>(.+?)</code>: ask", client.get(reverse("api:docs")).content.decode())

    assert [(ROOT / name).read_text().partition("\n")[0] for name in named] == ["# A worked client"]


def test_a_browser_that_was_told_of_no_icon_finds_it(client: Client) -> None:
    response = client.get("/favicon.ico")

    assert response.status_code == 302
    assert response.headers["Location"] == static("pages/icon.svg")


@pytest.mark.parametrize("role", ITEMS)
def test_each_role_starts_where_its_work_is(client: Client, db: None, role: str) -> None:
    if role in Membership.Role.values:
        user = MembershipFactory(role=role).user
    else:
        user = UserFactory(is_superuser=role == "administrator", is_staff=role == "administrator")
    client.force_login(user)

    response = client.get("/")

    assert response.headers["Location"] == reverse(home_of(role))
    page = client.get(reverse(home_of(role)))
    assert page.status_code == 200
    words = [html.escape(words) for _, words, _ in ITEMS[role]]
    assert all(f'<span class="nav-link-title">{each}</span>' in page.content.decode() for each in words)
