"""The start page, the navigation, and the pages for errors."""

import html

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory, UserFactory
from webapp.accounts.models import Membership
from webapp.pages.navigation import ITEMS, home_of


def test_a_visitor_reads_what_it_is_and_can_sign_in(client: Client, db: None) -> None:
    page = client.get("/").content.decode()

    assert "It is not a diagnosis" in page
    assert "/account/login/" in page
    assert "Supports a professional's decision; not a diagnosis." in page


def test_a_page_that_is_not_there_says_so_in_the_house_look(client: Client, db: None) -> None:
    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_a_form_without_its_token_says_what_to_do() -> None:
    response = Client(enforce_csrf_checks=True).post("/account/logout/")

    assert response.status_code == 403
    assert "This form had expired" in response.content.decode()


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
