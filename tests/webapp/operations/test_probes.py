"""Health, readiness and metrics, as a machine asks for them."""

from datetime import timedelta
from math import inf
from pathlib import Path
from socket import create_server
from time import perf_counter
from uuid import uuid4

import pytest
from django.core.mail import EmailMessage
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from tests.factories import ImageFactory, JobFactory, MessageFactory, ResultFactory
from webapp.inference.models import Worker
from webapp.notify.delivery import ATTEMPTS, claim_message, put_off
from webapp.notify.models import Message
from webapp.operations import metrics, readiness, selectors
from webapp.operations.models import Sweep
from webapp.operations.readiness import CHECKS
from webapp.operations.services import note_sweep
from webapp.registry.models import ModelRelease
from workers.delivery import send


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", -1.0)


@pytest.fixture
def worker(release: ModelRelease) -> Worker:
    note_sweep()
    return Worker.objects.create(name="here:1", release=release, seen_at=timezone.now())


def test_health_asks_nobody_else(client: Client) -> None:
    # This test may not touch the database, so it would fail if the page did.
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_when_every_part_works(client: Client, worker: Worker) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200, response.content
    assert response.json()["checks"] == {name: {"ok": True, "why": ""} for name, _ in CHECKS}


def broken(client: Client) -> dict[str, str]:
    response = client.get("/readyz")
    assert response.status_code == 503
    return {name: check["why"] for name, check in response.json()["checks"].items() if not check["ok"]}


def test_not_ready_without_a_worker(client: Client, worker: Worker) -> None:
    Worker.objects.update(seen_at=timezone.now() - timedelta(minutes=3))
    assert list(broken(client)) == ["model"]


def test_what_this_version_cannot_answer_with_is_named(client: Client, worker: Worker) -> None:
    assert found_usable(client) == {(worker.release.name,): 1}
    Worker.objects.all().delete()
    assert "worker" in broken(client)["model"]
    ModelRelease.objects.update(manifest={**worker.release.manifest, "preprocessing": {"version": "frame-4x3-v4"}})
    why = broken(client)["model"]
    assert f"{worker.release.name} is active, and it wants preprocessing frame-4x3-v4" in why
    assert "promote another on the page of models" in why
    assert found_usable(client) == {(worker.release.name,): 0}
    ModelRelease.objects.update(state="retired")
    assert "No release is active" in broken(client)["model"]


def found_usable(client: Client) -> dict[tuple[str, ...], float]:
    return figures(client)["lesionlens_active_release_usable"]


def test_not_ready_without_the_sweep(client: Client, worker: Worker) -> None:
    Sweep.objects.update(ran_at=timezone.now() - timedelta(minutes=3, seconds=5))
    why = broken(client)
    assert list(why) == ["sweep"]
    assert "has not run for 3 minutes" in why["sweep"]
    assert "scheduler" in why["sweep"]
    Sweep.objects.all().delete()
    assert "has never run" in broken(client)["sweep"]


def test_not_ready_without_storage(client: Client, worker: Worker, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    backend = {**settings.STORAGES["default"], "OPTIONS": {"location": str(tmp_path / "file")}}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    assert list(broken(client)) == ["storage"]


def at(settings: Settings, port: int) -> None:
    """Redis is here, for those who are asked about it."""
    there = {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}
    settings.CACHES = {**settings.CACHES, "default": there}


def test_not_ready_without_a_broker(client: Client, worker: Worker, settings: Settings) -> None:
    at(settings, 9)
    why = broken(client)
    assert list(why) == ["broker"]
    assert "127.0.0.1" not in why["broker"]


def test_readiness_is_asked_for_at_most_every_two_seconds(
    client: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/readyz")
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 60.0)
    Worker.objects.all().delete()
    assert client.get("/readyz").status_code == 200


def figures(client: Client, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_metrics_tell_what_waits_and_what_was_answered(client: Client, worker: Worker) -> None:
    hour = timedelta(hours=1)
    JobFactory()
    ImageFactory()
    image = ImageFactory(stored=True)
    type(image).objects.filter(pk=image.pk).update(stored_at=timezone.now() - hour)
    ResultFactory(release=worker.release)
    for finished_at in (timezone.now(), timezone.now() - 2 * hour):
        JobFactory(state="failed", reason="model_error", finished_at=finished_at)
    found = figures(client)
    assert found["lesionlens_rows"]["job", "queued"] == 1
    assert found["lesionlens_rows"]["image", "awaiting_upload"] == 1
    assert 3600 <= found["lesionlens_oldest_seconds"]["image", "stored"] < 3700
    assert 0 < found["lesionlens_oldest_seconds"]["job", "queued"] < 60
    assert found["lesionlens_oldest_seconds"]["training_run", "running"] == 0
    assert found["lesionlens_jobs_queued"] == {("interactive",): 0, ("bulk",): 1}
    assert found["lesionlens_answers_per_second"][()] == pytest.approx(1 / 300)
    assert set(found["lesionlens_answer_seconds"]) == {("0.5",), ("0.95",), ("0.99",)}
    assert found["lesionlens_failed_last_hour"] == {("job", "model_error"): 1, ("message", ""): 0}
    assert 0 <= found["lesionlens_sweep_seconds"][()] < 60
    assert 0 <= found["lesionlens_storage_seconds"][()] < 60
    assert found["lesionlens_workers"] == {(worker.release.name,): 1}
    assert list(found["lesionlens_active_release_info"].values()) == [1]


def test_jobs_whose_worker_died_are_told_from_those_that_run(client: Client, worker: Worker) -> None:
    for minutes in (-1, 10):
        lease = {"lease_token": uuid4(), "lease_until": timezone.now() - timedelta(minutes=minutes)}
        JobFactory(state="running", attempt=1, **lease)
    found = figures(client)
    assert (found["lesionlens_rows"]["job", "running"], found["lesionlens_rows"]["lost_job", "running"]) == (2, 1)
    assert 600 <= found["lesionlens_oldest_seconds"]["lost_job", "running"] < 660


def test_metrics_of_an_empty_service(client: Client, db: None) -> None:
    found = figures(client)
    assert set(found["lesionlens_oldest_seconds"].values()) == {0}
    assert found["lesionlens_sweep_seconds"][()] == found["lesionlens_storage_seconds"][()] == inf
    assert "lesionlens_active_release_info" not in found


def test_metrics_say_that_the_database_is_away(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert figures(client)["lesionlens_database_up"][()] == 1

    def away(*_: object) -> None:
        raise OperationalError("the server closed the connection at 10.0.0.7")

    with monkeypatch.context() as broken:
        broken.setattr(CursorWrapper, "execute", away)
        found = figures(client)
    assert found["lesionlens_database_up"][()] == 0
    assert "lesionlens_rows" not in found
    assert found["lesionlens_request_seconds_count"]


def test_metrics_do_not_wait_for_a_database_that_hangs(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "STATEMENT_TIMEOUT", "100ms")
    monkeypatch.setattr(selectors, "PRIORITIES", "SELECT 0, 1 FROM pg_sleep(20)")
    found = figures(client)
    assert found["lesionlens_database_up"][()] == 0
    assert "lesionlens_rows" not in found


def test_metrics_say_that_redis_is_away(client: Client, db: None, settings: Settings) -> None:
    assert figures(client)["lesionlens_broker_up"] == {(): 1}
    at(settings, 9)
    assert figures(client)["lesionlens_broker_up"] == {(): 0}


def test_metrics_do_not_wait_for_a_redis_that_hangs(client: Client, db: None, settings: Settings) -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        at(settings, silent.getsockname()[1])
        started = perf_counter()
        found = figures(client)
    assert perf_counter() - started < 3
    assert found["lesionlens_broker_up"] == {(): 0}
    assert found["lesionlens_database_up"] == {(): 1}


def test_a_letter_waits_for_the_mail_server_until_it_has_been_sent(
    client: Client, db: None, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    letter = MessageFactory()
    Message.objects.filter(pk=letter.pk).update(created_at=timezone.now() - timedelta(minutes=20))
    here = settings.EMAIL_BACKEND
    assert stranded(client) == (0, 0)

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert not try_to_send()
    count, age = stranded(client)
    assert (count, 1200 <= age < 1260) == (1, True)

    settings.EMAIL_BACKEND = here
    Message.objects.update(send_after=timezone.now())
    assert try_to_send()
    assert len(mailoutbox) == 1
    assert stranded(client) == (0, 0)


def try_to_send() -> bool:
    """As the worker does; False where the mail server is away."""
    token, letter = claim_message() or pytest.fail("nothing is due")
    return send(letter, token)


def stranded(client: Client) -> tuple[float, float]:
    """How many letters wait for the mail server, and the age of the oldest."""
    found, kind = figures(client), ("stranded_message", "pending")
    return found["lesionlens_rows"][kind], found["lesionlens_oldest_seconds"][kind]


def test_a_letter_that_was_refused_for_hours_counts_as_failed_when_it_is_given_up(client: Client, db: None) -> None:
    letter = MessageFactory()
    written, due = timezone.now() - timedelta(hours=6), timezone.now() - timedelta(seconds=5)
    Message.objects.filter(pk=letter.pk).update(created_at=written, send_after=due, attempt=ATTEMPTS - 1)
    token, claimed = claim_message() or pytest.fail("nothing is due")
    assert put_off(message=claimed, token=token, error="The mailbox is full.")
    assert figures(client)["lesionlens_failed_last_hour"]["message", ""] == 1


def test_requests_are_counted_by_route_never_by_path(client: Client, db: None) -> None:
    client.get("/labels/")
    client.generic("BREW", "/healthz")
    routes = {labels[1] for labels in figures(client)["lesionlens_request_seconds_count"]}
    methods = {labels[0] for labels in figures(client)["lesionlens_request_seconds_count"]}
    assert "labels:queue" in routes
    assert not any("/" in route for route in routes)
    assert "BREW" not in methods


@pytest.mark.parametrize(
    "origin", [{"REMOTE_ADDR": "10.0.0.7"}, {"HTTP_X_FORWARDED_FOR": "10.0.0.7"}, {"REMOTE_ADDR": ""}]
)
@pytest.mark.parametrize("token", ["", "s3cret"])
def test_metrics_are_not_for_strangers(db: None, settings: Settings, origin: dict[str, str], token: str) -> None:
    settings.METRICS_TOKEN = token
    client = Client(**origin)  # type: ignore[arg-type]  # the WSGI environment
    assert client.get("/metrics").status_code == 403
    for sent in ("", "Bearer ", "Bearer wrong"):
        assert client.get("/metrics", headers={"Authorization": sent}).status_code == 403
    allowed = client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
    assert allowed.status_code == (200 if token else 403)
