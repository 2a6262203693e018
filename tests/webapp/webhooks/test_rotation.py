"""A secret that is rotated again, since nobody received the new one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import EndpointFactory
from tests.webapp.webhooks.receiver import Receiver
from webapp.audit.services import SYSTEM
from webapp.errors import Problem
from webapp.webhooks.models import Endpoint
from webapp.webhooks.services import MAX_SECRETS, rotate_secret, send_test
from webapp.webhooks.signing import unseal

pytestmark = pytest.mark.django_db


def test_the_secret_that_the_receiver_has_signs_on_for_its_own_day(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = EndpointFactory.create(url=receiver.url)
    installed, now = unseal(endpoint.sealed_secret), timezone.now()

    *_, newest = [rotate_secret(actor=SYSTEM, endpoint=endpoint) for _ in range(4)]

    endpoint.refresh_from_db()
    send_test(actor=SYSTEM, endpoint=endpoint)
    [told] = receiver.received
    assert told.verified(installed) == told.verified(newest)
    assert len(told.headers["webhook-signature"].split()) == 5
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(hours=25))
    assert endpoint.secrets_before(timezone.now()) == []
    rotate_secret(actor=SYSTEM, endpoint=endpoint)
    endpoint.refresh_from_db()
    assert endpoint.sealed_earlier_secrets == []  # what has ended is forgotten


def test_a_version_that_knows_one_secret_of_before_rotates_meanwhile(receiver: Receiver) -> None:
    endpoint = EndpointFactory.create(url=receiver.url)
    installed = unseal(endpoint.sealed_secret)
    for _ in range(2):
        rotate_secret(actor=SYSTEM, endpoint=endpoint)
    endpoint.refresh_from_db()
    soon = timezone.now() + timedelta(hours=24)
    known = {"sealed_previous_secret": endpoint.sealed_secret, "previous_secret_until": soon}
    Endpoint.objects.update(sealed_secret=EndpointFactory.build().sealed_secret, **known)

    endpoint.refresh_from_db()
    send_test(actor=SYSTEM, endpoint=endpoint)

    assert receiver.received[0].verified(installed)


def test_as_many_secrets_sign_as_a_header_should_hold() -> None:
    endpoint = EndpointFactory.create()
    for _ in range(MAX_SECRETS - 1):
        rotate_secret(actor=SYSTEM, endpoint=endpoint)

    with pytest.raises(Problem, match="Wait until one ends") as refused:
        rotate_secret(actor=SYSTEM, endpoint=endpoint)

    assert refused.value.code == "too_many_secrets"
    endpoint.refresh_from_db()
    assert len(endpoint.secrets_before(timezone.now())) == MAX_SECRETS - 1
