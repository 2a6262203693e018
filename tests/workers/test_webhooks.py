"""Deliveries to a real receiver on loopback: one that takes, refuses, is slow, is away, and whose sender dies."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import DeliveryFactory, EndpointFactory, OrganisationFactory
from tests.webapp.webhooks.receiver import Receiver, Reply, receiving
from tests.workers.waiting import wait_for
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.webhooks import post
from webapp.webhooks.delivery import AT_ONCE, ATTEMPTS, DISABLED_AFTER, claim_deliveries, send, sweep_webhooks
from webapp.webhooks.models import Delivery, Endpoint, EventType
from webapp.webhooks.post import Answer
from webapp.webhooks.services import create_endpoint, rotate_secret
from workers import webhooks
from workers.webhooks import send_webhooks

pytestmark = pytest.mark.django_db(transaction=True)
State = Delivery.State


def endpoint_at(receiver: Receiver) -> tuple[Endpoint, str]:
    return create_endpoint(
        actor=SYSTEM, organisation=OrganisationFactory(), url=receiver.url, event_types=EventType.values
    )


def later() -> None:
    """Time passes: what waits is due, and who rests has rested."""
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(state=State.PENDING).update(send_after=past)
    Endpoint.objects.update(quiet_until=None)


def test_an_event_goes_out_once_signed_however_often_the_worker_is_woken(receiver: Receiver) -> None:
    endpoint, secret = endpoint_at(receiver)
    delivery = DeliveryFactory(endpoint=endpoint)
    for _ in range(3):
        send_webhooks()
    [request] = receiver.received
    assert request.verified(secret)["type"] == "batch.cancelled"
    assert (request.path, request.id) == ("/hook", str(delivery.pk))
    assert request.headers["content-type"] == "application/json"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempt, delivery.error) == (State.DELIVERED, 1, "")
    [attempt] = delivery.log
    assert (attempt.status, attempt.error) == (200, "")
    assert timezone.now() - attempt.at < timedelta(seconds=30)


def test_after_a_rotation_both_secrets_verify_for_a_day(receiver: Receiver) -> None:
    endpoint, first = endpoint_at(receiver)
    second = rotate_secret(actor=SYSTEM, endpoint=endpoint)
    DeliveryFactory(endpoint=endpoint)
    send_webhooks()
    assert len({first, second}) == 2
    assert receiver.received[0].verified(first) == receiver.received[0].verified(second)
    Endpoint.objects.update(previous_secret_until=timezone.now() - timedelta(seconds=1))
    DeliveryFactory(endpoint=endpoint)
    send_webhooks()
    assert receiver.received[1].verified(second)
    with pytest.raises(Exception, match="No matching signature"):
        receiver.received[1].verified(first)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_what_is_refused_is_tried_again_later_with_the_same_id(receiver: Receiver, status: int) -> None:
    endpoint, secret = endpoint_at(receiver)
    delivery = DeliveryFactory(endpoint=endpoint)
    receiver.replies = [Reply(status)]
    send_webhooks()
    delivery.refresh_from_db()
    assert delivery.state == State.PENDING
    assert delivery.error.startswith(f"It answered {status}")
    assert 3 < (delivery.send_after - timezone.now()).total_seconds() <= 6
    send_webhooks()  # not yet
    assert len(receiver.received) == 1
    later()
    send_webhooks()
    delivery.refresh_from_db()
    assert (delivery.state, [attempt.status for attempt in delivery.log]) == (State.DELIVERED, [status, 200])
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert second.verified(secret)


def test_an_endpoint_says_how_long_it_wants_to_be_left_alone(receiver: Receiver) -> None:
    endpoint, _ = endpoint_at(receiver)
    delivery = DeliveryFactory(endpoint=endpoint)
    receiver.replies = [Reply(503, {"Retry-After": "3600"})]
    send_webhooks()
    DeliveryFactory(endpoint=endpoint)  # another event is kept back too
    send_webhooks()
    assert len(receiver.received) == 1
    delivery.refresh_from_db()
    assert 3500 < (delivery.send_after - timezone.now()).total_seconds() <= 3600
    later()
    send_webhooks()
    assert Delivery.objects.filter(state=State.DELIVERED).count() == 2


def test_an_endpoint_that_is_gone_is_disabled_at_once_with_all_that_waits(receiver: Receiver) -> None:
    endpoint, _ = endpoint_at(receiver)
    DeliveryFactory(endpoint=endpoint)
    DeliveryFactory(endpoint=endpoint, send_after=timezone.now() + timedelta(hours=1))
    receiver.reply = Reply(410)
    send_webhooks()
    endpoint.refresh_from_db()
    assert endpoint.state == Endpoint.State.GONE
    [event] = Event.objects.filter(action="webhook.disabled")
    assert (event.object_id, event.organisation, event.user) == (str(endpoint.pk), endpoint.organisation, None)
    assert [delivery.state for delivery in Delivery.objects.all()] == [State.FAILED] * 2
    assert len(receiver.received) == 1


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        endpoint, _ = endpoint_at(receiver)
        delivery = DeliveryFactory(endpoint=endpoint)
        receiver.reply = Reply(307, {"Location": elsewhere.url})
        send_webhooks()
        delivery.refresh_from_db()
        assert delivery.state == State.PENDING
        assert "redirect" in delivery.error
        assert elsewhere.received == []


def test_an_endpoint_that_is_away_is_tried_for_a_day_and_disabled_after_three() -> None:
    endpoint = EndpointFactory()  # at a port where nobody listens
    delivery = DeliveryFactory(endpoint=endpoint)
    for attempt in range(1, ATTEMPTS + 1):
        later()
        send_webhooks()
        delivery.refresh_from_db()
        assert delivery.attempt == attempt
    assert (delivery.state, len(delivery.log)) == (State.FAILED, ATTEMPTS)
    assert delivery.error == "Nothing listens there. Start your software, or correct the address and its port."
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.failures) == (Endpoint.State.ENABLED, ATTEMPTS)
    Endpoint.objects.update(failing_since=timezone.now() - DISABLED_AFTER)
    DeliveryFactory(endpoint=endpoint)
    later()
    send_webhooks()
    endpoint.refresh_from_db()
    assert endpoint.state == Endpoint.State.FAILING
    assert Event.objects.filter(action="webhook.disabled", object_id=endpoint.pk).count() == 1
    assert not Delivery.objects.exclude(state=State.FAILED).exists()


def test_days_in_which_nothing_was_tried_are_no_failures() -> None:
    """Its receiver was away for a day and a half, and long well when it misses the one attempt of the next event."""
    endpoint = EndpointFactory()  # at a port where nobody listens
    delivery = DeliveryFactory(endpoint=endpoint)
    send_webhooks()
    long_ago = {"failing_since": timezone.now() - 3 * DISABLED_AFTER, "tried_at": timezone.now() - 2 * DISABLED_AFTER}
    Endpoint.objects.update(**long_ago)
    later()
    send_webhooks()
    endpoint.refresh_from_db()
    delivery.refresh_from_db()
    assert (endpoint.state, delivery.state) == (Endpoint.State.ENABLED, State.PENDING)
    assert endpoint.failing_since is not None
    assert timezone.now() - endpoint.failing_since < timedelta(minutes=1)


@pytest.mark.parametrize("reply", [Reply(seconds=30), Reply(drip=0.05)], ids=["silent", "a header at a time"])
def test_a_slow_endpoint_holds_up_nobody(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
    monkeypatch.setattr(post, "TOTAL_SECONDS", 3.0)
    slow, _ = endpoint_at(receiver)
    receiver.reply = reply
    DeliveryFactory.create_batch(10, endpoint=slow)
    with receiving() as quick:
        other, _ = endpoint_at(quick)
        DeliveryFactory.create_batch(3, endpoint=other)
        started = time.monotonic()
        send_webhooks()
        assert max(request.at for request in quick.received) - started < 3.0
        assert len(quick.received) == 3
    assert time.monotonic() - started < 15  # after three failures in a row the slow one rests
    assert AT_ONCE <= len(receiver.received) < 10
    tried = [delivery for delivery in slow.deliveries.all() if delivery.attempts]
    assert {delivery.error for delivery in tried} == {
        "No answer came in time. Answer first, and do the work afterwards."
    }
    assert all(2900 < delivery.log[0].milliseconds < 8000 for delivery in tried)


def test_a_worker_that_died_while_sending_keeps_no_other_from_it(receiver: Receiver) -> None:
    DeliveryFactory()
    claim_deliveries(limit=1)
    endpoint, _ = endpoint_at(receiver)
    delivery = DeliveryFactory(endpoint=endpoint)
    send_webhooks()
    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED


def test_an_endpoint_gets_few_at_once_and_all_in_the_end(receiver: Receiver) -> None:
    endpoint, _ = endpoint_at(receiver)
    receiver.reply = Reply(seconds=0.2)
    deliveries = DeliveryFactory.create_batch(7, endpoint=endpoint)
    send_webhooks()
    assert {request.id for request in receiver.received} == {str(delivery.pk) for delivery in deliveries}
    assert receiver.most_at_once == AT_ONCE
    assert Delivery.objects.filter(state=State.DELIVERED).count() == 7


def test_a_worker_killed_while_sending_sends_again_with_the_same_id(receiver: Receiver) -> None:
    endpoint, secret = endpoint_at(receiver)
    delivery = DeliveryFactory(endpoint=endpoint)
    receiver.reply = Reply(seconds=60)
    worker = _sending_process()
    try:
        wait_for(lambda: len(receiver.received) == 1)
        delivery.refresh_from_db()
        assert delivery.state == State.SENDING
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    receiver.reply = Reply()
    assert sweep_webhooks() == 0  # the lease still stands
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_webhooks() == 1

    def delivered() -> bool:
        send_webhooks()  # nothing, for the moment in which Postgres has not seen that the other is gone
        delivery.refresh_from_db()
        return delivery.state == State.DELIVERED

    wait_for(delivered)
    assert delivery.attempt == 2
    first, second = receiver.received
    assert first.id == second.id == str(delivery.pk)
    assert second.verified(secret) == first.verified(secret)


def test_a_secret_that_cannot_be_read_any_more_says_so(receiver: Receiver, settings: Settings) -> None:
    endpoint, secret = endpoint_at(receiver)
    delivery = DeliveryFactory(endpoint=endpoint)
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another-key-that-is-long-enough-0123456789"
    send_webhooks()
    delivery.refresh_from_db()
    assert "Rotate it" in delivery.error
    assert receiver.received == []
    settings.SECRET_KEY_FALLBACKS = [before]
    later()
    send_webhooks()
    assert receiver.received[0].verified(secret)


def test_one_that_cannot_be_sent_does_not_hold_up_the_others(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _ = endpoint_at(receiver)
    bad, good = DeliveryFactory.create_batch(2, endpoint=endpoint)

    def stumble(delivery: Delivery) -> Answer:
        if delivery.pk == bad.pk:
            raise RuntimeError
        return send(delivery)

    monkeypatch.setattr(webhooks, "send", stumble)
    send_webhooks()
    for delivery in (bad, good):
        delivery.refresh_from_db()
    assert bad.state == State.PENDING
    assert bad.error.startswith("It could not be sent, by a fault of this site.")
    assert good.state == State.DELIVERED


def _sending_process() -> "subprocess.Popen[bytes]":
    """A worker of its own, on this test's database."""
    server, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    environment = {**os.environ, "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}"}
    program = "import workers; from workers.webhooks import send_webhooks; send_webhooks()"
    return subprocess.Popen([sys.executable, "-c", program], env=environment)
