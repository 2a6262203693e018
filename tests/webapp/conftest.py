"""Who is signed in, and which release answers."""

import pytest
from django.test import Client

from tests.factories import MembershipFactory, ReleaseFactory
from webapp.accounts.models import Membership, Organisation
from webapp.registry.models import ModelRelease


@pytest.fixture
def provider(client: Client) -> Membership:
    """The provider who is signed in at `client`."""
    member: Membership = MembershipFactory(role=Membership.Role.PROVIDER)
    client.force_login(member.user)
    return member


@pytest.fixture
def clinic(provider: Membership) -> Organisation:
    """The organisation of the provider who is signed in."""
    return provider.organisation


@pytest.fixture
def release(db: None) -> ModelRelease:
    """The active release."""
    return ReleaseFactory(active=True)
