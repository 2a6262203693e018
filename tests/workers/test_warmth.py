"""The inference worker has its model in memory before the first image comes, and says so while it waits."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import sleep
from unittest.mock import Mock

import pytest
import structlog
from celery import Celery
from celery.signals import worker_ready, worker_shutdown

from ml.runtime import Runtime
from ml.runtime.cores import cores
from ml.runtime.ensemble import BATCH, CHUNK
from tests.factories import ReleaseFactory
from tests.ml.tiny_bundle import make_tiny_bundle
from tests.workers.waiting import wait_for
from webapp.audit.services import SYSTEM
from webapp.inference.models import Worker
from webapp.queue import app
from webapp.registry.bundles import store_bundle
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote, register_release
from workers import warmth
from workers.inference import drain

pytestmark = pytest.mark.django_db(transaction=True)
FIRST_OF_A_CONTAINER = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]


class Consumer:
    """What the signals of a worker name as their sender: it knows its app and so the queues that it takes from."""

    def __init__(self, queue: str) -> None:
        self.app = Celery(set_as_current=False)
        self.app.amqp.queues.select([queue])


@contextmanager
def running(queue: str) -> Iterator[None]:
    """The start and the orderly stop of a Celery worker that takes from this queue, as its signals tell of them.

    Not a whole worker: Celery ends the process that a worker lives in when one of its threads fails.
    """
    worker = Consumer(queue)
    worker_ready.send(sender=worker)
    yield
    worker_shutdown.send(sender=worker)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(warmth, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(warmth, "WARM", tmp_path / "warm")


@pytest.fixture
def release(tmp_path: Path) -> ModelRelease:
    return serve(tmp_path, "first")


def serve(folder: Path, name: str) -> ModelRelease:
    made = store_bundle(make_tiny_bundle(folder / name, name=name))
    release = register_release(bundle_sha256=made.hash, manifest=dict(made.manifest))
    return promote(actor=SYSTEM, release=release)


def serving(release: ModelRelease) -> bool:
    return Worker.objects.filter(release=release).exists()


def test_an_idle_worker_loads_the_model_stays_in_sight_and_swaps_it(release: ModelRelease, tmp_path: Path) -> None:
    with running("inference"):
        wait_for(lambda: serving(release))
        first = Worker.objects.get().seen_at
        wait_for(lambda: Worker.objects.get().seen_at > first)
        newer = serve(tmp_path, "second")  # promoted while nothing is queued
        wait_for(lambda: serving(newer))
    assert not Worker.objects.exists()  # a worker that stops in good order is forgotten


def test_a_worker_that_starts_looks_for_work_without_a_sweep(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = list[str]()
    monkeypatch.setattr(app, "send_task", lambda name, **_: rung.append(name))
    with running("inference"):
        wait_for(lambda: serving(release))
        first = Worker.objects.get().seen_at
        wait_for(lambda: Worker.objects.get().seen_at > first)
    assert rung == ["inference.drain"]
    assert warmth.SIZE.fewest == CHUNK * min(cores(), BATCH // CHUNK)


def test_a_worker_of_another_queue_loads_no_model(release: ModelRelease) -> None:
    with running("default"):
        sleep(1)
    assert not Worker.objects.exists()


def test_a_model_that_is_stuck_makes_its_worker_fall_silent(release: ModelRelease) -> None:
    stop = Event()
    with warmth.DEVICE:
        keeper = Thread(target=warmth.keep_warm, args=[stop], daemon=True)
        keeper.start()
        sleep(1)
        assert not Worker.objects.exists()
        assert not warmth.WARM.exists()
    wait_for(lambda: serving(release))
    wait_for(warmth.WARM.exists)
    touched = warmth.WARM.stat().st_mtime_ns
    wait_for(lambda: warmth.WARM.stat().st_mtime_ns > touched)
    stop.set()
    keeper.join(10)


def test_a_worker_whose_device_answers_nothing_any_more_dies(
    release: ModelRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, ended = Event(), list[int]()
    keeper = Thread(target=warmth.keep_warm, args=[stop], daemon=True)
    keeper.start()
    wait_for(lambda: serving(release))

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

    def end(code: int) -> None:
        ended.append(code)
        stop.set()

    monkeypatch.setattr(Runtime, "predict", fail)
    monkeypatch.setattr(os, "_exit", end)
    newer = serve(tmp_path, "newer")
    keeper.join(20)
    assert ended == [1]
    assert not serving(newer)


def test_it_dies_as_the_first_process_of_a_container_too() -> None:
    """Linux lets that one not kill itself: it would go on claiming, and spend the attempts of sound images."""
    if subprocess.run([*FIRST_OF_A_CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a container")
    code = "import workers.warmth as it; it._has_answered.set(); it.die(); print('it goes on', flush=True)"
    said = subprocess.run([*FIRST_OF_A_CONTAINER, sys.executable, "-c", code], capture_output=True, check=False)
    assert "device_failed" in (said.stdout + said.stderr).decode()
    assert "it goes on" not in said.stdout.decode()
    assert said.returncode == 1


def test_a_worker_that_never_answered_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new start would change nothing where the release is at fault, or another process has the memory."""
    ended, stop, release = Mock(), Event(), serve(tmp_path, "never loaded before")
    monkeypatch.setattr(os, "_exit", ended)
    monkeypatch.setattr(warmth, "_has_answered", Event())
    with monkeypatch.context() as failing:
        failing.setattr(Runtime, "predict", Mock(side_effect=MemoryError))
        keeper = Thread(target=warmth.keep_warm, args=[stop], daemon=True)
        keeper.start()
        sleep(1)
        assert not serving(release)
        assert not warmth.WARM.exists()
    wait_for(lambda: serving(release))
    stop.set()
    keeper.join(10)
    ended.assert_not_called()


def test_a_release_of_another_version_is_named_and_traced_nowhere(tmp_path: Path) -> None:
    """It is tried every few seconds for as long as nobody promotes another."""
    release = serve(tmp_path, "older")
    release.manifest["preprocessing"] = {"version": "frame-4x3-v4"}
    release.save()
    with structlog.testing.capture_logs() as log:
        assert warmth.load_active() is None
        drain()
    assert {line["event"] for line in log} == {"release_unusable"}
    assert "it wants preprocessing frame-4x3-v4" in log[0]["why"]


def test_an_unusable_bundle_is_tried_again(tmp_path: Path) -> None:
    broken = ReleaseFactory(active=True)  # its bundle is not in storage
    stop = Event()
    keeper = Thread(target=warmth.keep_warm, args=[stop], daemon=True)
    keeper.start()
    sleep(1)
    assert keeper.is_alive()
    assert not serving(broken)
    good = serve(tmp_path, "good")
    wait_for(lambda: serving(good))
    stop.set()
    keeper.join(10)
