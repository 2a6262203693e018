"""An operator's page that was opened before something changed: a press of its button says what became of it."""

import pytest
from django.test import Client

from tests.factories import MembershipFactory, ReleaseFactory
from webapp.audit.models import Event
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_active_already_cannot_be_promoted_and_says_so(client: Client, method: str) -> None:
    client.force_login(MembershipFactory(role="operator").user)
    ReleaseFactory(active=True)
    candidate = ReleaseFactory()
    address = f"/models/releases/{candidate.pk}/promote/"
    client.post(address, {"note": "Better."}, follow=True)

    told = getattr(client, method)(address, {"note": "Better still."}, follow=True).content.decode()

    assert f"{candidate.name} is active already, so nothing was changed." in told
    candidate.refresh_from_db()
    assert (candidate.state, candidate.decision_note) == (ModelRelease.State.ACTIVE, "Better.")
    assert Event.objects.filter(action="release.promoted").count() == 1


def test_a_page_that_was_opened_while_none_was_active_replaces_none_that_became_so(client: Client) -> None:
    client.force_login(MembershipFactory(role="operator").user)
    candidate, meanwhile = ReleaseFactory(), ReleaseFactory()
    address = f"/models/releases/{candidate.pk}/promote/"
    assert 'name="instead_of" value=""' in client.get(address).content.decode()
    client.post(f"/models/releases/{meanwhile.pk}/promote/", {"instead_of": ""})

    told = client.post(address, {"instead_of": ""}).content.decode()

    assert "Another release became active meanwhile, so nothing was changed." in told
    assert f"instead of {meanwhile.name}" in told
    assert active_release() == meanwhile
    client.post(address, {"instead_of": meanwhile.name})
    assert active_release() == candidate
