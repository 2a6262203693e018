"""The first administrator reads that somebody has to be an operator."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_as_long_as_nobody_is_one_the_page_of_queues_says_so(client: Client) -> None:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    page = client.get("/operations/").content.decode()
    assert "Nobody is an operator" in page
    assert f'href="{reverse("admin:accounts_membership_add")}"' in page
    MembershipFactory(role="operator", user=UserFactory(is_active=False))
    assert "Nobody is an operator" in client.get("/operations/").content.decode()
    MembershipFactory(role="operator")
    assert "Nobody is an operator" not in client.get("/operations/").content.decode()
