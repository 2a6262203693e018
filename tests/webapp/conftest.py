"""Who is signed in, which release answers, and what is logged."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
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


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that the service writes, in its own format, from INFO upwards."""
    root = logging.getLogger()
    [formatter] = {h.formatter for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)}
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
