"""The training worker: runs one retraining in a program of its own, and keeps the lease while that works.

TensorFlow is never loaded here: the memory it takes is given back when the program ends, and a crash of it fails one
run, not the worker.
"""

import csv
import io
import json
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from ml.bundle import Bundle, BundleError
from webapp import storage
from webapp.cases.models import Image
from webapp.leases import excuse, extend
from webapp.queue import Task
from webapp.registry.bundles import store_bundle
from webapp.registry.models import TrainingRun
from webapp.registry.snapshots import read_snapshot
from webapp.registry.training import (
    LEASE_SECONDS,
    claim_run,
    fail_run,
    finish_run,
    give_back_run,
    keep_run,
    report_progress,
)
from workers.bundles import fetch_bundle
from workers.program import Program
from workers.task import stopping, task

logger = structlog.get_logger(__name__)
READERS = 8
PAUSE = 10.0  # seconds between two tries to register a candidate
REGISTERED_WITHIN = LEASE_SECONDS  # longer than a restart of storage or the database takes
TICK = 0.5  # how soon, in seconds, a lost lease or a stop is acted on
VERDICTS = ("passed", "failed", "inconclusive")
REFUSED_BY_STORAGE = ("storage_refused", "Storage works, but will not give or take a file of this run.")


class LeaseLost(Exception):
    """Another worker has the run now, or will have it."""


class WorkerStops(Exception):
    """This worker is about to end."""


class RunFailed(Exception):
    """Another attempt would end the same way. `code` is stable."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")


@task(Task.TRAIN, soft_limit=settings.TRAINING_SECONDS + 600, hard_limit=settings.TRAINING_SECONDS + 660)
def train() -> None:
    """Train what is queued."""
    claimed = claim_run()
    if claimed is None:
        return
    token, run = claimed
    logger.info("training_started", run=str(run.pk), attempt=run.attempt)
    try:
        with _lease_kept(run, token) as lost, _work_folder() as folder:
            Attempt(run, token, folder, lost).work()
    except RunFailed as failure:
        fail_run(run=run, token=token, error=str(failure))
    except LeaseLost:
        logger.warning("training_lease_lost", run=str(run.pk))
    except WorkerStops:
        give_back_run(run=run, token=token)
    except storage.ObjectRefused as error:  # the lease, one as short as others', runs out, while there are attempts
        logger.error("object_refused", run=str(run.pk), attempt=run.attempt, error=str(error))
        if run.attempt >= settings.MAX_ATTEMPTS:
            fail_run(run=run, token=token, error=str(RunFailed(*REFUSED_BY_STORAGE)))
        extend(TrainingRun.objects.filter(pk=run.pk), token)
    except storage.StorageAway as error:  # which is no attempt; the lease paces the next, one as short as others'
        logger.warning("storage_away", run=str(run.pk), error=str(error))
        rows = TrainingRun.objects.filter(pk=run.pk)
        extend(rows, token)
        excuse(rows, token)


@contextmanager
def _lease_kept(run: TrainingRun, token: uuid.UUID) -> Iterator[threading.Event]:
    """Extends the lease from a thread, whatever this one waits for; gives the event that is set when it is lost."""
    lost, done = threading.Event(), threading.Event()

    def keep() -> None:
        while not (done.wait(settings.LEASE_SECONDS / 4) or lost.is_set()):
            close_old_connections()
            try:
                if not keep_run(run=run, token=token):
                    lost.set()
            except DatabaseError as error:  # it may be back before the lease runs out
                logger.warning("lease_not_extended", run=str(run.pk), error=type(error).__name__)
        connection.close()

    keeper = threading.Thread(target=keep, name="lease-keeper", daemon=True)
    keeper.start()
    try:
        yield lost
    finally:
        done.set()
        keeper.join()


@contextmanager
def _work_folder() -> Iterator[Path]:
    """A folder on disk. What a killed worker left in its place is removed: only one run is active at a time."""
    root = Path(settings.BUNDLE_FOLDER) / "training"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        yield Path(folder)


class Attempt:
    """One worker's try at a run."""

    def __init__(self, run: TrainingRun, token: uuid.UUID, folder: Path, lost: threading.Event) -> None:
        self._run, self._token, self._lost = run, token, lost
        self._snapshot, self._images, self._output = folder / "snapshot.csv", folder / "images", folder / "output"
        self._log = folder / "errors.txt"
        self._unreported: list[dict[str, Any]] = []
        self._ends_at = time.monotonic() + settings.TRAINING_SECONDS

    def work(self) -> None:
        """Collect, train, store the candidate, end the run. Raises LeaseLost, WorkerStops, RunFailed or StorageAway."""
        self._report({"event": "stage", "name": "collecting images"})
        parent = self._fetch_parent()
        self._collect_images()
        self._train(parent)
        self._report({"event": "stage", "name": "registering the candidate"})
        self._register()

    def _fetch_parent(self) -> Path:
        try:
            return fetch_bundle(self._run.parent)
        except (BundleError, FileNotFoundError) as error:
            raise RunFailed("parent_missing", f"The active release's bundle cannot be read. {error}") from error

    def _collect_images(self) -> None:
        """The snapshot and its images as files. The trainer refuses a snapshot of which an image was deleted since."""
        try:
            data = read_snapshot(self._run.snapshot)
        except (ValueError, FileNotFoundError) as error:
            raise RunFailed("snapshot_damaged", f"The snapshot cannot be read. {error}") from error
        self._snapshot.write_bytes(data)
        self._images.mkdir()
        names = [row["image_id"] for row in csv.DictReader(io.StringIO(data.decode()))]
        # A deleted one may still lie in storage, where that was away: it is none to learn from.
        images = Image.objects.filter(pk__in=names, state=Image.State.READY).only("organisation_id", "tries")
        keys = {str(image.pk): image.clean_key for image in images}
        with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:
            for _ in readers.map(self._collect, keys, keys.values()):
                self._look()

    def _collect(self, name: str, key: str) -> None:
        if self._lost.is_set() or stopping.is_set():
            return
        with suppress(FileNotFoundError):
            (self._images / f"{name}.jpg").write_bytes(storage.read(key))

    def _train(self, parent: Path) -> None:
        with Program(self._command(parent), cwd=settings.ROOT, log=self._log) as program:
            for line in program.lines(tick=TICK):
                self._look()
                if line is not None:
                    self._note(line)
            if code := program.wait():
                logger.error("training_crashed", run=str(self._run.pk), code=code, output=program.errors(20))
                raise RunFailed("training_crashed", f"The trainer ended with code {code}. {program.errors(1)}")

    def _command(self, parent: Path) -> list[str | Path]:
        return [
            *(sys.executable, "-m", "ml", "retrain", "--progress", "json", "--cache", settings.RUNTIME_CACHE),
            *("--bundle", parent, "--snapshot", self._snapshot, "--images", self._images, "--output", self._output),
            *("--members", ",".join(self._run.members), "--epochs", str(self._run.epochs), "--seed", "0"),
            *("--margin", str(settings.GATE_MARGIN), "--min-lesions", str(settings.GATE_MIN_LESIONS)),
        ]

    def _note(self, line: str) -> None:
        """Take in one line of the trainer's output; what is not an event is only logged."""
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, KeyError, TypeError):
            logger.info("trainer_said", run=str(self._run.pk), line=line.rstrip()[:200])
            return
        if kind == "error":
            raise RunFailed(event["code"], event["message"])
        if kind != "steps":  # within a stage or an epoch, every half minute
            self._report(event)

    def _report(self, event: dict[str, Any]) -> None:
        self._unreported.append({**event, "at": round(time.time())})
        close_old_connections()
        try:
            if not report_progress(run=self._run, token=self._token, events=self._unreported):
                raise LeaseLost
            self._unreported = []
        except DatabaseError as error:  # told with the next event
            logger.warning("progress_not_reported", run=str(self._run.pk), error=type(error).__name__)

    def _look(self) -> None:
        """Whether to go on. Raises LeaseLost, WorkerStops or RunFailed."""
        if self._lost.is_set():
            raise LeaseLost
        if stopping.is_set():
            raise WorkerStops
        if time.monotonic() > self._ends_at:
            raise RunFailed("training_too_slow", f"It was stopped after {settings.TRAINING_SECONDS // 60} minutes.")

    def _register(self) -> None:
        """Store the candidate and end the run. Hours of training hang on it, so it is tried until storage and the
        database are there. Raises LeaseLost, WorkerStops or RunFailed, and in the end what they raise.
        """
        give_up_at = time.monotonic() + REGISTERED_WITHIN
        while True:
            close_old_connections()
            try:
                bundle, gate = self._candidate()
                finish_run(
                    run=self._run,
                    token=self._token,
                    gate=gate,
                    bundle_sha256=bundle.hash,
                    manifest=dict(bundle.manifest),
                )
                return
            except storage.ObjectRefused as error:  # another attempt would train for hours, to be refused as well
                raise RunFailed(*REFUSED_BY_STORAGE) from error
            except (storage.StorageAway, OperationalError, InterfaceError) as error:
                logger.warning("candidate_not_registered", run=str(self._run.pk), error=type(error).__name__)
                if time.monotonic() > give_up_at:
                    raise
            if self._lost.wait(PAUSE):
                raise LeaseLost
            if stopping.is_set():
                raise WorkerStops

    def _candidate(self) -> tuple[Bundle, dict[str, Any]]:
        """Store what the trainer made, and give it with its gate."""
        try:
            gate = json.loads((self._output / "gate.json").read_text())
            if gate["verdict"] not in VERDICTS or not isinstance(gate["rows"], list):
                raise RunFailed("candidate_unusable", "The gate's result makes no sense.")
            return store_bundle(self._output / "bundle"), gate
        except storage.StorageAway:
            raise
        except (BundleError, OSError, ValueError, LookupError) as error:
            raise RunFailed("candidate_unusable", f"The trainer's result cannot be used. {error}") from error
