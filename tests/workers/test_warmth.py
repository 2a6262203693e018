"""The inference worker has its model in memory before the first image comes, and says so while it waits."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from celery.contrib.testing.worker import start_worker

from tests.factories import ReleaseFactory
from tests.ml.tiny_bundle import make_tiny_bundle
from webapp.audit.services import SYSTEM
from webapp.inference.models import Worker
from webapp.queue import app
from webapp.registry.bundles import store_bundle
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote, register_release
from workers import inference

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def runtime_cache(settings: object, tmp_path: Path) -> None:
    settings.RUNTIME_CACHE = str(tmp_path / "runtime")  # type: ignore[attr-defined]


@pytest.fixture
def release(tmp_path: Path, runtime_cache: None) -> ModelRelease:
    return serve(tmp_path, seed=1)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "HEARTBEAT_SECONDS", 0.2)


def serve(folder: Path, seed: int) -> ModelRelease:
    made = store_bundle(make_tiny_bundle(folder / f"bundle-{seed}", seed=seed, name=f"tiny-{seed}"))
    release = register_release(bundle_sha256=made.hash, manifest=dict(made.manifest))
    return promote(actor=SYSTEM, release=release)


def wait_for(condition: object, seconds: float = 60) -> None:
    until = monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert monotonic() < until, "it did not come"
        sleep(0.05)


def serving(release: ModelRelease) -> bool:
    return Worker.objects.filter(release=release).exists()


@pytest.fixture
def worker() -> Iterator[None]:
    """A real Celery worker, in a thread, that takes from the queue of the model."""
    with start_worker(app, queues=["inference"], perform_ping_check=False, shutdown_timeout=30):
        yield


def test_an_idle_worker_loads_the_model_stays_in_sight_and_swaps_it(
    release: ModelRelease, worker: None, tmp_path: Path
) -> None:
    wait_for(lambda: serving(release))
    first = Worker.objects.get().seen_at
    wait_for(lambda: Worker.objects.get().seen_at > first)
    newer = serve(tmp_path, seed=2)  # promoted while nothing is queued
    wait_for(lambda: serving(newer))


def test_a_worker_that_stops_in_good_order_is_forgotten(release: ModelRelease) -> None:
    with start_worker(app, queues=["inference"], perform_ping_check=False, shutdown_timeout=30):
        wait_for(lambda: serving(release))
    assert not Worker.objects.exists()


def test_a_worker_of_another_queue_loads_no_model(release: ModelRelease) -> None:
    with start_worker(app, queues=["default"], perform_ping_check=False, shutdown_timeout=30):
        sleep(1)
    assert not Worker.objects.exists()


def test_a_model_that_is_stuck_makes_its_worker_fall_silent(release: ModelRelease) -> None:
    stop = Event()
    with inference._device:
        keeper = Thread(target=inference.keep_warm, args=[stop], daemon=True)
        keeper.start()
        sleep(1)
        assert not Worker.objects.exists()
    wait_for(lambda: serving(release))
    stop.set()
    keeper.join(10)


def test_an_unusable_bundle_is_tried_again(tmp_path: Path, runtime_cache: None) -> None:
    broken = ReleaseFactory(active=True)  # its bundle is not in storage
    stop = Event()
    keeper = Thread(target=inference.keep_warm, args=[stop], daemon=True)
    keeper.start()
    sleep(1)
    assert keeper.is_alive()
    assert not serving(broken)
    wait_for(lambda: serving(serve(tmp_path, seed=3)))
    stop.set()
    keeper.join(10)
