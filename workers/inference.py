"""The inference worker: claims what is queued, reads and decodes ahead, keeps the model warm.

One process for each device, `--pool threads --concurrency 1`. While the model works on one batch, a small thread pool
already reads and decodes the next, so the device does not wait for storage.
"""

import hashlib
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import structlog
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import close_old_connections, connection

from ml.imaging.overlay import render_heatmap
from ml.imaging.refusal import ImageRefused
from ml.runtime import Prediction, Runtime
from webapp import storage
from webapp.inference.claim import claim_jobs
from webapp.inference.models import Job, Result
from webapp.inference.services import Outcome, fail, heartbeat, say_goodbye, succeed, turn_away
from webapp.leases import extend
from webapp.queue import QUEUES, Task, ring_now
from webapp.registry.models import ModelRelease
from webapp.registry.services import active_release
from workers.bundles import fetch_bundle
from workers.task import task

logger = structlog.get_logger(__name__)
WORKER = f"{socket.gethostname()}:{os.getpid()}"
READERS = 2
HEARTBEAT_SECONDS = 20
WARM = Path(tempfile.gettempdir()) / "lesionlens-warm"  # touched at each heartbeat, for a probe that costs nothing
RUN_SECONDS = 60  # then another wake-up goes on, so that a stop never waits long


@dataclass(frozen=True)
class Prepared:
    """One image as stored (for the heatmap and the record) and as the model takes it."""

    data: bytes
    pixels: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Leased jobs, the images that are being read for them, and the model that will answer."""

    token: uuid.UUID
    release: ModelRelease
    runtime: Runtime
    reading: Sequence[tuple[Job, "Future[Prepared]"]]


_device = Lock()  # held by the thread that loads or runs a model


@lru_cache(maxsize=1)
def _runtime(bundle_sha256: str) -> Runtime:
    release = ModelRelease.objects.get(bundle_sha256=bundle_sha256)
    started = time.monotonic()
    runtime = Runtime(fetch_bundle(release), cache=settings.RUNTIME_CACHE)
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
    heartbeat(worker=WORKER, release=release)
    return release, runtime


def keep_warm(stop: Event) -> None:
    """Load the model before the first image comes, and say that this worker is alive, until `stop` is set.

    Waits for the device like everybody else: a worker whose model is stuck falls silent.
    """
    warm = False
    while True:
        try:
            close_old_connections()
            warm = load_active() is not None or warm
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
    """Answer queued images until none is left."""
    stop_at = time.monotonic() + RUN_SECONDS
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:
        ahead = _claim(readers)
        while ahead is not None:
            batch, ahead = ahead, _claim(readers) if time.monotonic() < stop_at else None
            _answer(batch)
    if time.monotonic() >= stop_at:
        ring_now(Task.DRAIN)


def _claim(readers: ThreadPoolExecutor) -> Batch | None:
    """Lease the next batch and start reading it; None when nothing waits or no release is active."""
    loaded = load_active()
    if loaded is None:
        return None
    release, runtime = loaded
    token, jobs = claim_jobs(limit=settings.INFERENCE_BATCH)
    if not jobs:
        return None
    if len(jobs) == settings.INFERENCE_BATCH:
        ring_now(Task.DRAIN)  # there may be work for another worker too
    return Batch(
        token, release, runtime, [(job, readers.submit(_prepare, runtime, job.image.clean_key)) for job in jobs]
    )


def _prepare(runtime: Runtime, key: str) -> Prepared:
    data = storage.read(key)
    return Prepared(data, runtime.prepare(data))


def _answer(batch: Batch) -> None:
    """Run the model on a leased batch and write each result. One bad image fails one job."""
    jobs, prepared = [], []
    for job, future in batch.reading:
        try:
            prepared.append(future.result())
            jobs.append(job)
        except ImageRefused as refusal:
            fail(job=job, token=batch.token, reason=refusal.code)
        except FileNotFoundError:
            fail(job=job, token=batch.token, reason="image_missing")
        except Exception as error:  # storage is away: the lease runs out, and a later attempt may find it back
            logger.warning("image_not_read", job=job.pk, error=type(error).__name__)
    extend(Job.objects.all(), batch.token)  # the batch waited while the one before it was answered
    with _device:
        predictions = _predict(batch.runtime, prepared)
    for job, image, prediction in zip(jobs, prepared, predictions, strict=True):
        if prediction is None:
            fail(job=job, token=batch.token, reason="model_error")
            continue
        if not (prediction.recognised or job.image.was_unrecognised):
            turned = turn_away(job=job, token=batch.token)
            logger.info("image_turned_away", job=job.pk, release=batch.release.name, written=turned)
            continue
        try:
            _write(job, batch, image, prediction)
        except Exception:  # as above: one result that cannot be stored does not hold up the others
            logger.exception("result_not_written", job=job.pk)


def _predict(runtime: Runtime, images: Sequence[Prepared]) -> list[Prediction | None]:
    """Predictions in order; None for an image that the model cannot take.

    A batch that fails, for want of memory or for one poisonous image, is halved until what works has worked.
    """
    if not images:
        return []
    try:
        return list(runtime.predict([image.pixels for image in images]))
    except Exception as error:
        logger.warning("model_failed", images=len(images), error=type(error).__name__)
        if len(images) == 1:
            return [None]
        half = len(images) // 2
        return _predict(runtime, images[:half]) + _predict(runtime, images[half:])


def _write(job: Job, batch: Batch, image: Prepared, prediction: Prediction) -> None:
    """Store the heatmap, then the result: a result that exists has its heatmap."""
    result = Result(image=job.image, release=batch.release)
    storage.write(result.heatmap_key, render_heatmap(image.data, prediction.heatmap))
    written = succeed(
        job=job,
        token=batch.token,
        release=batch.release,
        outcome=Outcome(
            probabilities=prediction.probabilities,
            malignant=prediction.malignant,
            uncertainty=prediction.uncertainty,
            advice=prediction.advice,
            preprocessing=batch.runtime.preprocessing_version,
            input_sha256=hashlib.sha256(image.data).hexdigest(),
        ),
    )
    logger.info("image_answered", job=job.pk, release=batch.release.name, written=written)
