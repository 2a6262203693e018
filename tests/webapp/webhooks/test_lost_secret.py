"""A secret that no SECRET_KEY reads any more: the page says so, and a new one is all that it takes."""

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.factories import EndpointFactory, MembershipFactory
from tests.webapp.webhooks.receiver import Receiver
from webapp.audit.services import SYSTEM
from webapp.webhooks.models import Delivery
from webapp.webhooks.services import rotate_secret, send_test

pytestmark = pytest.mark.django_db
LOST = "The secret of this webhook cannot be read any more"


def test_it_is_told_before_anything_fails_and_ends_with_a_new_one(
    client: Client, receiver: Receiver, settings: Settings
) -> None:
    endpoint = EndpointFactory.create(url=receiver.url)
    client.force_login(MembershipFactory(role="provider", organisation=endpoint.organisation).user)
    page = f"/webhooks/{endpoint.pk}/"
    assert LOST not in client.get(page).content.decode()
    settings.SECRET_KEY = "another"
    client.force_login(MembershipFactory(role="provider", organisation=endpoint.organisation).user)
    assert LOST in client.get(page).content.decode()
    assert send_test(actor=SYSTEM, endpoint=endpoint).state == Delivery.State.FAILED
    secret = rotate_secret(actor=SYSTEM, endpoint=endpoint)
    assert LOST not in client.get(page).content.decode()
    endpoint.refresh_from_db()
    assert send_test(actor=SYSTEM, endpoint=endpoint).state == Delivery.State.DELIVERED
    [told] = receiver.received
    assert told.verified(secret)["type"] == "webhook.test"
