"""docs/webhooks.md, as it is written: its receiver runs, and verifies what is sent; its tables are true."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest
from django.conf import settings
from django.utils import timezone

from tests.factories import DeliveryFactory, OrganisationFactory
from webapp.audit.services import SYSTEM
from webapp.webhooks.delivery import JITTER, PAUSES
from webapp.webhooks.models import TEST, Delivery, Endpoint, EventType
from webapp.webhooks.services import create_endpoint, rotate_secret, send_test
from workers.webhooks import send_webhooks

pytestmark = pytest.mark.django_db(transaction=True)
DOCUMENT = (settings.ROOT / "docs" / "webhooks.md").read_text()


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[Endpoint, IO[str]]]:
    """The receiver of the document, running, its endpoint, and what it prints."""
    [program] = re.findall(r"`receiver.py`\n\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "receiver.py").write_text(program)
    made, secret = create_endpoint(
        actor=SYSTEM, organisation=OrganisationFactory(), url="http://127.0.0.1:65535", event_types=EventType.values
    )
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": "0"}
    with subprocess.Popen(
        [sys.executable, tmp_path / "receiver.py"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1]
        Endpoint.objects.update(url=f"http://127.0.0.1:{port}/")
        made.refresh_from_db()
        yield made, process.stdout
        process.kill()


def test_the_receiver_takes_what_is_signed_and_drops_a_repeat(endpoint: tuple[Endpoint, IO[str]]) -> None:
    to, printed = endpoint
    assert send_test(actor=SYSTEM, endpoint=to).state == Delivery.State.DELIVERED
    assert printed.readline() == "webhook.test {}\n"
    delivery = DeliveryFactory(endpoint=to)
    for _ in range(2):
        Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.PENDING, ended_at=None, attempt=0)
        send_webhooks()
    delivery.refresh_from_db()
    assert [attempt.status for attempt in delivery.log] == [204, 204]
    for _ in range(2):
        rotate_secret(actor=SYSTEM, endpoint=to)
    to.refresh_from_db()
    assert send_test(actor=SYSTEM, endpoint=to).state == Delivery.State.DELIVERED  # by the old secret, for a day
    over = timezone.now() - timedelta(seconds=1)
    Endpoint.objects.update(previous_secret_until=over, sealed_earlier_secrets=[])
    to.refresh_from_db()
    refused = send_test(actor=SYSTEM, endpoint=to)
    assert (refused.state, refused.log[0].status) == (Delivery.State.FAILED, 401)
    assert [printed.readline() for _ in range(2)] == ["batch.cancelled {}\n", "webhook.test {}\n"]


def test_the_tables_and_the_schedule_are_true() -> None:
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", DOCUMENT, re.MULTILINE)) == {*EventType.values, TEST}
    seconds = (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 10)))
    assert tuple(timedelta(seconds=pause) for pause in seconds) == PAUSES
    shortest = sum(PAUSES, timedelta(0))
    assert 27 <= shortest / timedelta(hours=1) <= shortest * (1 + JITTER) / timedelta(hours=1) <= 34
