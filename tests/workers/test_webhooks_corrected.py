"""A webhook whose address was wrong: what waited for it goes to the right one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import DeliveryFactory, EndpointFactory
from tests.webapp.api.clinic import API, Clinic, good
from tests.webapp.webhooks.receiver import Receiver, Reply
from webapp.webhooks.delivery import DISABLED_AFTER, claim_deliveries, finish
from webapp.webhooks.models import Delivery, Endpoint
from webapp.webhooks.post import Answer
from workers.webhooks import send_webhooks

pytestmark = pytest.mark.django_db(transaction=True)
NOBODY = "http://127.0.0.1:65535/hook"  # listens there


@pytest.fixture
def failing() -> Delivery:
    """Waits for hours more, as its address has failed for almost as long as disables it, and asked to be left alone."""
    delivery: Delivery = DeliveryFactory(endpoint=EndpointFactory(url=NOBODY))
    send_webhooks()
    now = timezone.now()
    Delivery.objects.update(send_after=now + timedelta(hours=10), attempt=7)
    failed = {"failing_since": now - DISABLED_AFTER, "quiet_until": now + timedelta(days=1), "failures": 7}
    Endpoint.objects.update(**failed)
    return delivery


def correct(delivery: Delivery, **said: object) -> Delivery:
    """Its clinic's software changes the webhook, and the worker is woken."""
    software, address = Clinic(delivery.endpoint.organisation), f"{API}/webhooks/{delivery.endpoint_id}"
    good(software.http.patch(address, said, "application/json"))
    send_webhooks()
    return Delivery.objects.select_related("endpoint").get()


def test_what_waits_goes_to_the_right_address_at_once(failing: Delivery, receiver: Receiver) -> None:
    assert correct(failing, url=receiver.url).state == Delivery.State.DELIVERED
    assert [request.id for request in receiver.received] == [str(failing.pk)]


def test_the_right_address_does_not_answer_for_the_wrong_one(failing: Delivery, receiver: Receiver) -> None:
    receiver.reply = Reply(503)
    found = correct(failing, url=receiver.url)
    assert (found.state, found.attempt) == (Delivery.State.PENDING, 1)
    assert (found.endpoint.state, found.endpoint.failures) == (Endpoint.State.ENABLED, 1)


@pytest.mark.parametrize("status", [410, 503])
def test_what_is_on_its_way_to_the_wrong_address_goes_to_the_right_one_too(
    failing: Delivery, receiver: Receiver, status: int
) -> None:
    Delivery.objects.update(send_after=timezone.now())
    Endpoint.objects.update(quiet_until=None)
    token, [under_way] = claim_deliveries(limit=1)  # the last attempt at it
    assert correct(failing, url=receiver.url).state == Delivery.State.SENDING
    assert finish(delivery=under_way, token=token, answer=Answer(status, 0.1, "No.", wait=timedelta(hours=9)))
    found = Endpoint.objects.get()
    assert (found.state, found.failures, found.quiet_until) == (Endpoint.State.ENABLED, 0, None)
    send_webhooks()
    assert Delivery.objects.get().state == Delivery.State.DELIVERED
    assert [request.id for request in receiver.received] == [str(failing.pk)]


def test_another_change_hurries_nothing(failing: Delivery) -> None:
    found = correct(failing, url=NOBODY, description="Records")
    assert (found.state, found.attempt, found.endpoint.failures) == (Delivery.State.PENDING, 7, 7)
