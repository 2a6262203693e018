"""Who looks after accounts."""

import pytest
from django.test import Client

from tests.factories import UserFactory
from webapp.accounts.models import User


@pytest.fixture
def administrator(client: Client) -> User:
    """The administrator of the site who is signed in at `client`."""
    user: User = UserFactory(is_superuser=True, is_staff=True)
    client.force_login(user)
    return user
