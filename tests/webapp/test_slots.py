"""What takes long never occupies every thread of the site: beyond a few at once, who asks is told to come back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from tests.factories import EndpointFactory, MembershipFactory
from tests.webapp.api.clinic import Clinic, problem
from tests.webapp.reports.scenes import answered
from webapp.audit.models import Event
from webapp.reports import typesetting
from webapp.webhooks import services
from webapp.webhooks.models import Delivery

pytestmark = pytest.mark.django_db


@contextmanager
def taken(slots: threading.Semaphore) -> Iterator[None]:
    """Every slot, as by requests that are not answered yet."""
    count = 0
    while slots.acquire(blocking=False):
        count += 1
    try:
        yield
    finally:
        slots.release(count)


def busy(response: Any) -> None:
    assert problem(response, 503)["code"] == "busy"
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("slots", ["TURN", "QUEUE"])
def test_a_report_whose_turn_does_not_come_is_gathered_by_nobody(monkeypatch: pytest.MonkeyPatch, slots: str) -> None:
    case = answered()
    clinic = Clinic(case.organisation)
    monkeypatch.setattr(typesetting, "TURN_SECONDS", 0.05)
    for path in (f"/cases/{case.pk}/report.pdf", f"/batches/{case.batch_id}/report.pdf"):
        with taken(getattr(typesetting, slots)):
            busy(clinic.get(path))
    assert not Event.objects.filter(action__endswith="results_exported").exists()
    assert clinic.get(f"/cases/{case.pk}/report.pdf").status_code == 200  # who was refused holds no slot


def test_a_test_of_a_webhook_waits_for_no_other(client: Browser) -> None:
    clinic = Clinic()
    endpoint = EndpointFactory(organisation=clinic.organisation)
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)
    with taken(services.TESTS):
        busy(clinic.post(f"/webhooks/{endpoint.pk}/test"))
        page = client.post(reverse("webhooks:test", args=[endpoint.pk]), follow=True)
    assert "Too many ask for this at once" in page.content.decode()
    assert not Delivery.objects.exists()
