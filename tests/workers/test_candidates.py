"""What a trainer has made is kept, though storage and the database are away for a while when it ends."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from tests.factories import ConsensusFactory
from tests.ml.tiny_bundle import make_tiny_bundle
from tests.webapp.registry.gates import gate
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.registry.bundles import store_bundle
from webapp.registry.models import TrainingRun
from webapp.registry.services import promote, register_release
from webapp.registry.training import finish_run, start_run
from workers import training

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


def test_a_worker_that_stops_meanwhile_gives_the_run_back(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(key: str, data: bytes) -> None:
        training.stopping.set()
        raise storage.StorageAway("ReadTimeoutError")

    monkeypatch.setattr(storage, "write", write)
    try:
        training.train()
    finally:
        training.stopping.clear()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 0)


def test_storage_that_stays_away_fails_no_run_for_good(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "write", away(storage.write, storage.StorageAway("ReadTimeoutError"), 1000))
    monkeypatch.setattr(training, "REGISTERED_WITHIN", 0.2)
    training.train()
    run.refresh_from_db()
    assert (run.state, run.error) == ("running", "")  # its lease runs out, and another attempt follows
