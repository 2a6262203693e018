"""The operator's page of queues."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    DeliveryFactory,
    EndpointFactory,
    JobFactory,
    MembershipFactory,
    MessageFactory,
    ReleaseFactory,
    ResultFactory,
    UserFactory,
)
from webapp.inference.models import Job, Worker
from webapp.notify.models import Message
from webapp.operations.charts import bars
from webapp.operations.models import Sweep
from webapp.operations.selectors import Waiting, answered_by_minute, waiting

pytestmark = pytest.mark.django_db
PAGE = "/operations/"


@pytest.fixture
def operator(client: Client) -> None:
    client.force_login(MembershipFactory(role="operator").user)


def test_the_page_shows_what_waits_who_works_and_what_failed(client: Client, operator: None) -> None:
    release = ReleaseFactory(active=True)
    Worker.objects.create(name="machine:7", release=release, seen_at=timezone.now())
    JobFactory()
    JobFactory(state=Job.State.FAILED, reason="model_error", finished_at=timezone.now())
    Message.objects.create(
        kind="batch_completed",
        recipient="desk@clinic.example",
        batch=BatchFactory(),
        state="failed",
        error="Refused.",
    )
    page = client.get(PAGE).content.decode()
    for words in ("machine:7", release.name, "model_error", "Refused.", "Broker works"):
        assert words in page
    assert "desk@clinic.example" not in page


def test_the_page_says_when_the_sweep_last_ran(client: Client, operator: None) -> None:
    assert "The sweep has never run." in client.get(PAGE).content.decode()
    Sweep.objects.create(pk=1, ran_at=timezone.now() - timedelta(hours=1))
    assert "<strong>3,6" in client.get(PAGE).content.decode().partition("The sweep last ran ")[2]


def test_a_letter_that_is_held_back_waits_once_it_is_due() -> None:
    def pending() -> Waiting:
        return next(row for row in waiting() if (row.kind, row.state) == ("message", "pending"))

    letter = MessageFactory(kind=Message.Kind.REVIEW_WAITING, send_after=timezone.now() + timedelta(hours=1))
    assert (pending().count, pending().age) == (0, 0)
    Message.objects.filter(pk=letter.pk).update(
        created_at=timezone.now() - timedelta(hours=1), send_after=timezone.now() - timedelta(seconds=5)
    )
    assert pending().count == 1
    assert 5 <= pending().age < 60
    Message.objects.filter(pk=letter.pk).update(attempt=1, send_after=timezone.now() + timedelta(hours=1))
    assert pending().count == 1  # refused for now, and tried again later
    assert pending().age >= 3600


def test_the_page_renews_its_figures_alone(client: Client, operator: None) -> None:
    part = client.get(PAGE, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "What waits" in part


def test_without_workers_the_page_says_what_that_means(client: Client, operator: None) -> None:
    assert "No release is active. Images wait" in client.get(PAGE).content.decode()
    release = ReleaseFactory(active=True)
    assert "Images wait until one starts" in client.get(PAGE).content.decode()
    release.manifest["preprocessing"] = {"version": "frame-4x3-v4"}
    release.save()
    page = client.get(PAGE).content.decode()
    assert f"No worker can load {release.name}: it wants preprocessing frame-4x3-v4" in page
    assert "until an operator promotes another" in page


def test_a_worker_that_fell_silent_is_told_from_the_one_in_its_place(client: Client, operator: None) -> None:
    release, now = ReleaseFactory(active=True), timezone.now()
    for name, ago in [("machine:7", 70), ("machine:8", 5), ("machine:1", 130)]:
        Worker.objects.create(name=name, release=release, seen_at=now - timedelta(seconds=ago))

    page = client.get(PAGE).content.decode()

    assert "machine:1<" not in page
    silent, alive = page.partition("machine:7")[2].split("machine:8")
    assert "silent since" in silent
    assert "heard of at" not in silent
    assert "heard of at" in alive
    assert "silent since" not in alive


def test_one_answered_image_is_told_as_one(client: Client, operator: None) -> None:
    ResultFactory(job__finished_at=timezone.now() - timedelta(seconds=1))
    assert "<strong>1</strong> image; at most 1 a minute" in client.get(PAGE).content.decode()


@pytest.mark.parametrize("role", ["provider", "annotator", "patient"])
def test_only_operators_enter(client: Client, role: str) -> None:
    client.force_login(UserFactory() if role == "patient" else MembershipFactory(role=role).user)
    assert client.get(PAGE).status_code == 403


def test_answers_are_counted_by_the_minute_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peak keeps its height, whenever within a minute it is asked for."""
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for seconds in (1, 59, -1, -179, 60 - 3600, 59 - 3600):
        ResultFactory(job__finished_at=noon + timedelta(seconds=seconds))
    for asked in (0, 30, 59.9):
        monkeypatch.setattr("django.utils.timezone.now", lambda asked=asked: noon + timedelta(seconds=asked))
        counts = answered_by_minute()
        assert (len(counts), counts[-1], counts[-2], counts[-4], counts[0], sum(counts)) == (60, 2, 1, 1, 1, 5)


def test_webhooks_that_fail_are_told_and_no_clinics_name(client: Client, operator: None) -> None:
    failing = EndpointFactory(failures=2, failing_since=timezone.now(), tried_at=timezone.now())
    DeliveryFactory(endpoint=failing, error="It answered 500. Look into the log of your software or its proxy.")
    DeliveryFactory(endpoint=failing, error="The certificate is not valid: not for hooks.clinic.example.")
    DeliveryFactory(endpoint=EndpointFactory(), error="It answered 404: it works again since.")
    page = client.get(PAGE).content.decode()
    assert "The certificate is not valid<" in page
    for other in ("hooks.clinic.example", "It answered 500", "It answered 404"):
        assert other not in page


def test_the_highest_bar_fills_the_chart() -> None:
    chart = bars([0, 5, 10])
    assert [bar.height for bar in chart.bars] == [0, 60, 120]
    assert bars([0, 0]).highest == 0
