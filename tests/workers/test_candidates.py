"""What a trainer has made is kept, though storage and the database are away for a while when it ends."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import ConsensusFactory
from tests.ml.tiny_bundle import make_tiny_bundle
from tests.webapp.registry.gates import gate
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.registry.bundles import store_bundle
from webapp.registry.models import TrainingRun
from webapp.registry.services import promote, register_release
from webapp.registry.training import claim_run, finish_run, keep_run, start_run, sweep_training
from workers import training
from workers.task import stopping

pytestmark = pytest.mark.django_db(transaction=True)
COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"


@pytest.fixture
def run(settings: Settings, tmp_path: Path, storage_folder: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A queued run whose trainer has its candidate at once."""
    settings.BUNDLE_FOLDER = str(tmp_path / "bundles")
    parent = store_bundle(make_tiny_bundle(tmp_path / "parent"))
    promote(actor=SYSTEM, release=register_release(bundle_sha256=parent.hash, manifest=dict(parent.manifest)))
    for number in range(10):
        ConsensusFactory(dx="MEL" if number % 2 else "NV")
    made = tmp_path / "made"
    make_tiny_bundle(made / "bundle", seed=1)
    (made / "gate.json").write_text(json.dumps(gate("passed")))
    monkeypatch.setattr(
        training.Attempt, "_command", lambda self, parent: [sys.executable, "-c", COPY, made, self._output]
    )
    monkeypatch.setattr(training, "PAUSE", 0.05)
    return start_run(actor=SYSTEM)


def away(ask: Callable[..., Any], error: Exception, times: int) -> Callable[..., Any]:
    """`ask`, which answers nothing but this error so many times."""
    left = iter(range(times))

    def answer(*what: Any, **how: Any) -> Any:
        if next(left, None) is not None:
            raise error
        return ask(*what, **how)

    return answer


def test_it_is_registered_once_both_are_back(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "write", away(storage.write, storage.StorageAway("ReadTimeoutError"), 3))
    monkeypatch.setattr(training, "finish_run", away(finish_run, OperationalError("the server went away"), 2))
    training.train()
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error) == ("evaluated", 1, "")
    assert run.candidate is not None


def test_a_database_that_was_away_for_minutes_costs_no_run(run: TrainingRun) -> None:
    """Nobody could extend the lease, and the sweep may be quicker than the worker to find that it is back."""
    claimed = claim_run()
    assert claimed is not None
    for _ in ("claimed", "extended"):
        TrainingRun.objects.update(lease_until=F("lease_until") - timedelta(minutes=20))
        assert sweep_training() == 0
        assert keep_run(run=run, token=claimed[0])


def test_a_worker_that_stops_meanwhile_gives_the_run_back(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(key: str, data: bytes) -> None:
        stopping.set()
        raise storage.StorageAway("ReadTimeoutError")

    monkeypatch.setattr(storage, "write", write)
    try:
        training.train()
    finally:
        stopping.clear()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 0)


def leases_run_out() -> None:
    TrainingRun.objects.exclude(lease_token=None).update(lease_until=timezone.now())
    sweep_training()


@pytest.mark.parametrize(
    ("place", "asked", "error"),
    [
        (FileSystemStorage, "listdir", ConnectTimeoutError(endpoint_url="http://s3")),  # of the parent's bundle
        (storage, "read", storage.StorageAway("ReadTimeoutError")),
        (storage, "write", storage.StorageAway("ReadTimeoutError")),  # of the candidate
    ],
)
def test_storage_that_stays_away_fails_no_run_for_good(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, place: Any, asked: str, error: Exception
) -> None:
    monkeypatch.setattr(training, "REGISTERED_WITHIN", 0)
    with monkeypatch.context() as broken:
        broken.setattr(place, asked, away(getattr(place, asked), error, 1000))
        for _ in range(settings.MAX_ATTEMPTS):
            training.train()
            run.refresh_from_db()
            assert (run.state, run.attempt) == ("running", 0)
            assert run.lease_until is not None  # it paces the next attempt
            assert run.lease_until < timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
            leases_run_out()
    training.train()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("evaluated", 1)


def test_a_snapshot_that_storage_refuses_fails_the_run_with_that_reason(run: TrainingRun) -> None:
    storage.delete(run.snapshot.key)
    storage.write(f"{run.snapshot.key}/file", b"")  # there is a folder in its place
    for _ in range(settings.MAX_ATTEMPTS - 1):
        training.train()
        run.refresh_from_db()
        assert run.lease_until is not None  # it paces the next attempt, while the worker is idle
        assert run.lease_until < timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        leases_run_out()
    training.train()
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error.partition(":")[0]) == ("failed", settings.MAX_ATTEMPTS, "storage_refused")


def test_a_candidate_that_storage_refuses_is_not_trained_anew(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another attempt would take hours, to be refused as well."""
    asked = []

    def write(key: str, data: bytes) -> None:
        asked.append(key)
        raise storage.ObjectRefused("ClientError")

    monkeypatch.setattr(storage, "write", write)
    monkeypatch.setattr(training, "REGISTERED_WITHIN", 0)
    training.train()
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error.partition(":")[0]) == ("failed", 1, "storage_refused")
    assert len(asked) == 1
