"""Who sends webhooks makes way for other work, however slowly they are taken."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tests.factories import DeliveryFactory, OrganisationFactory
from tests.webapp.elsewhere import elsewhere
from tests.webapp.webhooks.receiver import Receiver, Reply
from tests.workers.waiting import wait_for
from webapp.audit.services import SYSTEM
from webapp.webhooks.models import Delivery, EventType
from webapp.webhooks.post import Answer
from webapp.webhooks.services import create_endpoint
from workers import webhooks

pytestmark = pytest.mark.django_db(transaction=True)


def test_other_work_of_the_process_gets_its_turn_after_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    DeliveryFactory.create_batch(12)
    clock = [0.0]

    def slowly(delivery: Delivery) -> Answer:
        clock[0] += 1
        return Answer(200, 1.0)

    monkeypatch.setattr(webhooks, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(webhooks, "SENDERS", 1)
    monkeypatch.setattr(webhooks, "send", slowly)
    webhooks.send_webhooks()
    assert Delivery.objects.filter(state=Delivery.State.DELIVERED).count() == 6
    webhooks.send_webhooks()
    assert not Delivery.objects.exclude(state=Delivery.State.DELIVERED).exists()


def test_slow_endpoints_keep_one_worker_and_no_more(receiver: Receiver) -> None:
    endpoint, _ = create_endpoint(
        actor=SYSTEM, organisation=OrganisationFactory(), url=receiver.url, event_types=EventType.values
    )
    DeliveryFactory(endpoint=endpoint)
    receiver.reply = Reply(seconds=3)
    with ThreadPoolExecutor(1) as worker:
        sending = worker.submit(elsewhere, webhooks.send_webhooks)
        wait_for(lambda: len(receiver.received) == 1)
        webhooks.send_webhooks()
        assert not sending.done()
    assert Delivery.objects.get().state == Delivery.State.DELIVERED
