"""After a promotion the operator's page looks again by itself until a worker has the release."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import MembershipFactory, ReleaseFactory
from webapp.inference.models import Worker
from webapp.registry.models import ModelRelease

pytestmark = pytest.mark.django_db
UNHEARD = "No worker was heard with it"


@pytest.fixture
def active(client: Client) -> ModelRelease:
    client.force_login(MembershipFactory(role="operator").user)
    release: ModelRelease = ReleaseFactory(active=True)
    return release


def test_the_page_asks_until_a_worker_has_it(client: Client, active: ModelRelease) -> None:
    address = f"/models/releases/{active.pk}/loaded/"
    html = client.get("/models/").content.decode()
    assert UNHEARD in html
    assert f'hx-get="{address}"' in html
    assert client.get(address).status_code == 204

    Worker.objects.create(name="machine:7", release=active, seen_at=timezone.now())

    told = client.get(address)
    assert (told.status_code, b"machine:7, heard of at" in told.content) == (286, True)  # htmx asks no more
    html = client.get("/models/").content.decode()
    assert "machine:7, heard of at" in html
    assert address not in html


def test_where_another_release_is_active_by_now_it_says_so_and_asks_no_more(
    client: Client, active: ModelRelease
) -> None:
    ModelRelease.objects.update(state="retired")
    told = client.get(f"/models/releases/{active.pk}/loaded/")
    assert (told.status_code, b"Another release is active by now." in told.content) == (286, True)


def test_others_are_refused(client: Client, active: ModelRelease) -> None:
    client.force_login(MembershipFactory(role="provider").user)
    assert client.get(f"/models/releases/{active.pk}/loaded/").status_code == 403
