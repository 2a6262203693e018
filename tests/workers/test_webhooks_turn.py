"""Who sends webhooks makes way for other work, however slowly they are taken."""

from types import SimpleNamespace

import pytest

from tests.factories import DeliveryFactory
from webapp.webhooks.models import Delivery
from webapp.webhooks.post import Answer
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
