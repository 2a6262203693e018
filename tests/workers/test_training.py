"""The training worker with a real trainer beside it: labels in, a candidate out, whatever is killed on the way."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from pytest_django.fixtures import Settings

from tests.factories import ConsensusFactory, ImageFactory, JobFactory
from tests.ml.tiny_bundle import make_tiny_bundle
from tests.workers.waiting import wait_for
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.cases.models import Image
from webapp.inference.models import Result
from webapp.registry.bundles import store_bundle
from webapp.registry.models import ModelRelease, TrainingRun
from webapp.registry.services import promote, register_release, roll_back
from webapp.registry.training import start_run, stop_run, sweep_training
from workers import training
from workers.bundles import fetch_bundle
from workers.inference import drain
from workers.warmth import load_active

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
ROOT = Path(__file__).resolve().parents[2]
WORKER = "from workers import app; from workers.training import train; train()"


@pytest.fixture(autouse=True)
def _folders(settings: Settings, tmp_path: Path, storage_folder: Path) -> None:
    settings.BUNDLE_FOLDER = str(tmp_path / "bundles")


@pytest.fixture
def release(tmp_path: Path, _folders: None) -> ModelRelease:
    bundle = store_bundle(make_tiny_bundle(tmp_path / "tiny"))
    return promote(actor=SYSTEM, release=register_release(bundle_sha256=bundle.hash, manifest=dict(bundle.manifest)))


@pytest.fixture
def labels(_folders: None) -> None:
    """Ten images of ten patients that annotators agreed on."""
    for number in range(10):
        with_picture(ConsensusFactory(dx="MEL" if number % 2 else "NV").image, number)


def with_picture(image: Image, seed: int) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    data = io.BytesIO()
    Picture.fromarray(coarse).resize((480, 360)).save(data, "JPEG")
    storage.write(image.clean_key, data.getvalue())
    return image


def ask(release: ModelRelease, seed: int) -> Result:
    """What the active release answers for a new image."""
    job = JobFactory(image=with_picture(ImageFactory(ready=True), seed))
    drain()
    answer: Result = Result.objects.get(job=job)
    assert answer.release == release
    return answer


@contextmanager
def trainer(monkeypatch: pytest.MonkeyPatch, script: str) -> Iterator[None]:
    """A trainer that does what `script` says, in place of the real one."""
    command = [sys.executable, "-u", "-c", script]
    with monkeypatch.context() as patch:
        patch.setattr(training.Attempt, "_command", lambda self, parent: command)
        yield


def test_labels_become_a_candidate_that_serves_and_can_be_rolled_back(release: ModelRelease, labels: None) -> None:
    before = ask(release, 100)
    run = start_run(actor=SYSTEM, epochs=2)
    training.train()
    run.refresh_from_db()
    assert run.state == State.EVALUATED, run.error
    assert run.gate is not None
    assert run.gate["verdict"] == "inconclusive"  # so few labels decide nothing
    assert [event["epoch"] for event in run.progress if event["event"] == "epoch"] == [1, 2]
    assert next(event["name"] for event in run.progress if event["event"] == "stage") == "collecting images"

    candidate = run.candidate
    assert candidate is not None
    assert candidate.state == ModelRelease.State.CANDIDATE
    assert candidate.manifest["data_hash"] == run.snapshot.sha256
    assert candidate.manifest["parent"] == release.bundle_sha256
    assert load_active() is not None
    assert ask(release, 101)  # a candidate answers nothing

    promote(actor=SYSTEM, release=candidate, note="So that the test goes on")
    after = ask(candidate, 100)
    assert after.probabilities != before.probabilities
    again = JobFactory(image=before.image)
    drain()
    both = Result.objects.filter(image=before.image)
    assert {result.release for result in both} == {release, candidate}
    assert both.get(job=again).probabilities == pytest.approx(after.probabilities, abs=1e-6)

    roll_back(actor=SYSTEM)
    assert ask(release, 100).probabilities == pytest.approx(before.probabilities, abs=1e-6)
    assert "tensorflow" not in subprocess.run(
        [sys.executable, "-c", "import workers.training, sys; print(*sys.modules)"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip


def test_a_killed_worker_leaves_the_run_to_another_and_its_trainer_dies_with_it(
    release: ModelRelease, labels: None, settings: Settings, tmp_path: Path
) -> None:
    run = start_run(actor=SYSTEM, epochs=500)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(settings),
        "STORAGE_FOLDER": str(tmp_path / "storage"),
        "BUNDLE_FOLDER": str(tmp_path / "other-machine"),
    }
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=environment, start_new_session=True)
    try:
        wait_for(lambda: any(event["event"] == "epoch" for event in progress(run)), 90)
        [child] = children(worker.pid)
        assert os.getpriority(os.PRIO_PROCESS, child) > os.getpriority(os.PRIO_PROCESS, worker.pid)
        if (session := Path(f"/proc/{child}/autogroup")).exists():
            assert session.read_text().endswith("nice 1\n")
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 10)

    assert sweep_training() == 0  # its lease still runs
    TrainingRun.objects.filter(pk=run.pk).update(epochs=1, lease_until="2000-01-01T00:00Z")
    assert sweep_training() == 1
    training.train()
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.EVALUATED, 2), run.error
    assert ModelRelease.objects.filter(state=ModelRelease.State.CANDIDATE).count() == 1


def database_url(settings: Settings) -> str:
    name = settings.DATABASES["default"]["NAME"]
    server, _, options = os.environ["DATABASE_URL"].partition("?")
    return f"{server.rpartition('/')[0]}/{name}{'?' if options else ''}{options}"


def progress(run: TrainingRun) -> list[dict[str, object]]:
    return list(TrainingRun.objects.values_list("progress", flat=True).get(pk=run.pk))


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_a_long_run_keeps_its_lease_though_its_trainer_is_silent(
    release: ModelRelease, labels: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LEASE_SECONDS = 1
    run = start_run(actor=SYSTEM)
    with trainer(monkeypatch, "import time; time.sleep(3); raise SystemExit(3)"):
        training.train()
    run.refresh_from_db()
    assert run.attempt == 1
    assert run.error.startswith("training_crashed: The trainer ended with code 3")


@pytest.mark.parametrize("stopped", [False, True], ids=["to another worker", "as an operator stops the run"])
def test_a_worker_that_lost_its_lease_stops_its_trainer_and_changes_nothing(
    release: ModelRelease,
    labels: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    stopped: bool,
) -> None:
    settings.LEASE_SECONDS = 1
    run = start_run(actor=SYSTEM)
    said = tmp_path / "pid"
    script = f"import os, time; open({str(said)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with trainer(monkeypatch, script):
        worker = threading.Thread(target=training.train)
        worker.start()
        wait_for(lambda: said.exists() and bool(said.read_text()))
        if stopped:
            stop_run(actor=SYSTEM, run=run)
        else:
            TrainingRun.objects.filter(pk=run.pk).update(lease_token=run.pk)
        worker.join(20)
        assert not worker.is_alive()
    assert not Path(f"/proc/{said.read_text()}").exists()
    run.refresh_from_db()
    assert run.state == (State.FAILED if stopped else State.RUNNING)


def test_a_worker_that_is_stopping_gives_the_run_back(
    release: ModelRelease, labels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(actor=SYSTEM)
    stopping = threading.Event()
    monkeypatch.setattr(training, "stopping", stopping)
    threading.Timer(1.5, stopping.set).start()
    with trainer(monkeypatch, "import time; time.sleep(600)"):
        training.train()
    run.refresh_from_db()
    assert (run.state, run.attempt, run.lease_token) == (State.QUEUED, 0, None)


def test_a_run_that_takes_too_long_is_stopped(
    release: ModelRelease, labels: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRAINING_SECONDS = 1
    run = start_run(actor=SYSTEM)
    with trainer(monkeypatch, "import time; time.sleep(600)"):
        training.train()
    run.refresh_from_db()
    assert run.error.startswith("training_too_slow")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("""print('{"event": "error", "code": "no_images", "message": "Nothing to read."}'); raise SystemExit(1)""",
         "no_images: Nothing to read."),
        ("print('not an event'); print('[1]'); import os; os.abort()", "training_crashed"),
        ("pass", "candidate_unusable"),
    ],
)  # fmt: skip
def test_a_trainer_that_fails_fails_its_run(
    release: ModelRelease, labels: None, monkeypatch: pytest.MonkeyPatch, script: str, code: str
) -> None:
    run = start_run(actor=SYSTEM)
    with trainer(monkeypatch, script):
        training.train()
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.error.startswith(code)
    assert ModelRelease.objects.get() == release


def test_a_damaged_snapshot_is_not_trained_on(release: ModelRelease, labels: None) -> None:
    run = start_run(actor=SYSTEM)
    storage.write(run.snapshot.key, b"image_id\n")
    training.train()
    run.refresh_from_db()
    assert run.error.startswith("snapshot_damaged")


def test_a_photo_that_was_deleted_is_not_learnt_from_though_its_file_is_still_there(
    release: ModelRelease, labels: None
) -> None:
    run = start_run(actor=SYSTEM)
    image = Image.objects.filter(consensus__isnull=False).latest("pk")
    Image.objects.filter(pk=image.pk).update(state=Image.State.PURGED)
    assert storage.size(image.clean_key)
    training.train()
    run.refresh_from_db()
    assert run.error.startswith("missing_images: 1 images")


def test_nothing_to_train_is_no_work(release: ModelRelease) -> None:
    training.train()
    assert not TrainingRun.objects.exists()


def test_a_bundle_arrives_whole_or_not_at_all(release: ModelRelease) -> None:
    folder = fetch_bundle(release)
    (folder / "model_card.md").write_text("damaged on disk")
    assert fetch_bundle(release) == folder
    assert (folder / "model_card.md").read_text() != "damaged on disk"
    (folder / "model_card.md").unlink()
    storage.write(f"{release.key}/model_card.md", b"damaged in storage")
    with pytest.raises(Exception, match="is not the bundle of release"):
        fetch_bundle(release)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
