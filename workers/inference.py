"""The inference worker: claims what is queued, reads and decodes ahead, keeps the model warm.

One process for each device, `--pool threads --concurrency 1`. While the model works, threads read and decode what it
takes next, claim what comes after, and write what it has answered: the device waits neither for storage nor for
Postgres.
"""

import os
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import structlog
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import close_old_connections, connection, connections

from ml.imaging.overlay import pack
from ml.imaging.refusal import ImageRefused
from ml.runtime import Prediction, Runtime
from webapp import storage
from webapp.cases.models import NOT_A_LESION, Priority
from webapp.inference.claim import claim_jobs, somebody_waits
from webapp.inference.models import BLAMELESS, Job
from webapp.inference.services import End, Outcome, finish, heartbeat, say_goodbye
from webapp.leases import extend
from webapp.queue import QUEUES, Task, ring_now
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release
from workers.bundles import fetch_bundle
from workers.predicting import BatchSize, DeviceFailed
from workers.reading import Prepared, Reading, put_off, read_ahead
from workers.task import task

logger = structlog.get_logger(__name__)
WORKER = f"{socket.gethostname()}:{os.getpid()}"
READERS = 2
LEASED = 4  # batches of the model that are claimed and written at once: a dozen queries for all of them
HEARTBEAT_SECONDS = 20
WARM = Path(tempfile.gettempdir()) / "lesionlens-warm"  # touched at each heartbeat, for a probe that costs nothing
RUN_SECONDS = 60  # then another wake-up goes on, so that a stop never waits long


@dataclass(frozen=True)
class Batch:
    """Leased jobs and the model that will answer them."""

    token: uuid.UUID
    release: ModelRelease
    runtime: Runtime
    reading: Reading
    claimed: float  # by the monotonic clock

    @property
    def suspect(self) -> bool:
        """Whether this is the one job that workers died of, perhaps."""
        return any(job.attempt > BLAMELESS for job, _ in self.reading)

    @property
    def cut_short(self) -> bool:
        """Whether storage was away, so that some images of it were not read."""
        return any(future.cancelled() for _, future in self.reading)


_size = BatchSize(settings.INFERENCE_BATCH)
_device = Lock()  # held by the thread that loads or runs a model


@lru_cache(maxsize=1)
def _runtime(bundle_sha256: str) -> Runtime:
    release = ModelRelease.objects.get(bundle_sha256=bundle_sha256)
    started = time.monotonic()
    runtime = Runtime(fetch_bundle(release), cache=settings.RUNTIME_CACHE)
    width, height = runtime.bundle.frame
    blank = np.zeros((height, width, 3), np.uint8)
    runtime.predict([blank])  # a device that cannot answer this claims no image
    _size.images = settings.INFERENCE_BATCH
    if not _size.images:
        _size.find(runtime.predict, blank)
    logger.info("model_loaded", release=release.name, seconds=round(time.monotonic() - started, 2))
    return runtime


def load_active() -> tuple[ModelRelease, Runtime] | None:
    """The active release and its warm runtime; a newly promoted one is swapped in here, between batches."""
    release = active_release()
    if release is None:
        logger.warning("no_active_release")
        return None
    with _device:
        runtime = _runtime(release.bundle_sha256)
    return release, runtime


def keep_warm(stop: Event) -> None:
    """Load the model before the first image comes, and say that this worker is alive, until `stop` is set.

    Waits for the device like everybody else: a worker whose model is stuck falls silent.
    """
    warm = False
    while True:
        try:
            close_old_connections()
            if loaded := load_active():
                warm = True
                heartbeat(worker=WORKER, release=loaded[0])
        except Exception:
            logger.exception("not_warm")  # the database or storage is away, or the bundle is unusable: try again
        if warm:  # also while the database is away: to start this process again would not bring it back
            WARM.touch()
        if stop.wait(HEARTBEAT_SECONDS):
            break
    connection.close()


_stopped = Event()
_stopped.set()


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    """Of all the workers that import this module, only one that takes from the model's queue loads a model."""
    if QUEUES[Task.DRAIN] in sender.app.amqp.queues.consume_from:
        _stopped.clear()
        Thread(target=keep_warm, args=[_stopped], name="warmth", daemon=True).start()


@worker_shutdown.connect
def _end(**_: Any) -> None:
    if not _stopped.is_set():
        _stopped.set()
        say_goodbye(worker=WORKER)


@task(Task.DRAIN, soft_limit=600, hard_limit=660)
def drain() -> None:
    """Answer queued images. Where the device fails, the process ends, to be started again; its leases run out."""
    try:
        _answer_all()
    except DeviceFailed:
        logger.exception("device_failed", worker=WORKER)
        os.kill(os.getpid(), signal.SIGTERM)


def _answer_all() -> None:
    """Until none is left, or RUN_SECONDS are over.

    While the model works on the last of what is leased, the next is claimed and read; while it goes on with that, the
    results are written: all at once, but for those that somebody waits for. A suspect is claimed once all else is
    written, and nothing beside it, so that it takes nobody with it.
    """
    stop_at = time.monotonic() + RUN_SECONDS
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers, _database() as database:

        def claim(*, suspects: bool) -> "Future[Batch | None]":
            loaded = load_active() if time.monotonic() < stop_at else None
            return database.submit(_claim, readers, loaded, suspects=suspects)

        batch = claim(suspects=True).result()
        while batch is not None:
            reading, ahead = batch.reading, None
            ends: list[tuple[Job, End]] = []
            while reading:
                if not batch.suspect:
                    _answer_people(batch)
                take = _size.to_take()
                now, reading = reading[:take], reading[take:]
                if not (reading or batch.suspect or batch.cut_short):
                    ahead = claim(suspects=False)
                ends += _answer(batch, now)
                if not reading or _of_people(now):
                    database.submit(_write, batch, ends)
                    ends = []
            cut_short, batch = batch.cut_short, ahead.result() if ahead else None
            if batch is None and not cut_short:
                batch = claim(suspects=True).result()
    if time.monotonic() >= stop_at:
        ring_now(Task.DRAIN)


@contextmanager
def _database() -> Iterator[ThreadPoolExecutor]:
    """A thread that speaks to Postgres while the model works, one request at a time; at the end all is written."""
    with ThreadPoolExecutor(1, thread_name_prefix="database") as thread:
        try:
            yield thread
        finally:
            thread.submit(connections.close_all)  # those of the thread; `connection.close` would be this one's


def _claim(readers: ThreadPoolExecutor, loaded: tuple[ModelRelease, Runtime] | None, *, suspects: bool) -> Batch | None:
    """Lease the next jobs and start reading their images; None when nothing waits or nothing is loaded."""
    if loaded is None:
        return None
    release, runtime = loaded
    limit = LEASED * _size.images
    token, jobs = claim_jobs(limit=limit, suspects=suspects)
    if not jobs:
        return None
    if len(jobs) == limit:
        ring_now(Task.DRAIN)  # there may be work for another worker too
    return Batch(token, release, runtime, read_ahead(readers, runtime, jobs), time.monotonic())


def _answer_people(bulk: Batch) -> None:
    """Answer those who came in person since `bulk` was claimed: alone, so that they wait for nothing but their own."""
    if all(job.priority == Priority.INTERACTIVE for job, _ in bulk.reading) or not somebody_waits():
        return
    token, jobs = claim_jobs(limit=_size.images, people_only=True)
    with ThreadPoolExecutor(READERS) as readers:  # the others have the next batch to read
        reading = read_ahead(readers, bulk.runtime, jobs)
        people = replace(bulk, token=token, reading=reading, claimed=time.monotonic())
        _write(people, _answer(people, reading))


def _of_people(reading: Reading) -> bool:
    """Whether somebody waits for one of these."""
    return any(job.priority == Priority.INTERACTIVE for job, _ in reading)


def _answer(batch: Batch, reading: Reading) -> list[tuple[Job, End]]:
    """Run the model on some jobs of a batch: how each ends. One bad image fails one job."""
    if _of_people(reading):
        _size.person_came()
    if time.monotonic() - batch.claimed > settings.LEASE_SECONDS / 4:
        extend(Job.objects.filter(state=Job.State.RUNNING), batch.token)  # an index has these
    ends: list[tuple[Job, End]] = []
    jobs, prepared = [], []
    for job, future in reading:
        try:
            prepared.append(future.result())
            jobs.append(job)
        except ImageRefused as refusal:
            ends.append((job, refusal.code))
        except FileNotFoundError:
            ends.append((job, "image_missing"))
        except CancelledError:  # it is in the queue again
            continue
        except storage.ObjectRefused as error:  # the lease runs out, while there are attempts
            logger.error("object_refused", job=job.pk, attempt=job.attempt, error=str(error))
            if job.attempt >= settings.MAX_ATTEMPTS:
                ends.append((job, "storage_refused"))
        except storage.StorageAway as error:
            logger.warning("storage_away", job=job.pk, error=str(error))
            put_off(job, batch.reading, batch.token)
        except Exception as error:  # a fault of ours: the lease runs out, and attempts are counted
            logger.warning("image_not_read", job=job.pk, error=type(error).__name__)
    with _device:
        predictions = _size.predict(batch.runtime.predict, [image.pixels for image in prepared])
    for job, image, prediction in zip(jobs, prepared, predictions, strict=True):
        ends.append((job, _end_of(job, batch, image, prediction)))
    return ends


def _end_of(job: Job, batch: Batch, image: Prepared, prediction: Prediction | None) -> End:
    if prediction is None:
        return "model_error"
    if not (prediction.recognised or job.image.was_unrecognised):
        return NOT_A_LESION
    return Outcome(
        release=batch.release,
        probabilities=prediction.probabilities,
        malignant=prediction.malignant,
        uncertainty=prediction.uncertainty,
        advice=prediction.advice,
        preprocessing=batch.runtime.preprocessing_version,
        input_sha256=image.sha256,
        heatmap=pack(prediction.heatmap),
    )


def _write(batch: Batch, ends: list[tuple[Job, End]]) -> None:
    """Write how the jobs of a batch ended: all at once, or if that fails, each alone."""
    try:
        written = finish(token=batch.token, ends=ends)
    except Exception as error:
        logger.warning("batch_not_written", jobs=len(ends), error=type(error).__name__)
        close_old_connections()
        written = set()
        for job, end in ends:
            try:
                written |= finish(token=batch.token, ends=[(job, end)])
            except Exception:  # one result that cannot be stored does not hold up the others
                logger.exception("result_not_written", job=job.pk)
    logger.info("batch_answered", release=batch.release.name, jobs=len(ends), written=len(written))
    for job, end in ends:
        if isinstance(end, str) and job.pk in written:
            logger.info("image_not_answered", job=job.pk, reason=end)
