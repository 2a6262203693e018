"""The model of this process: in memory before the first image comes, and swapped where another release is promoted.

Celery's signals start it, in workers that take from the model's queue alone.
"""

import os
import socket
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import structlog
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import close_old_connections, connection

from ml.runtime import Runtime
from webapp.inference.services import heartbeat, say_goodbye
from webapp.queue import QUEUES, Task, ring_now
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release
from workers.bundles import fetch_bundle
from workers.predicting import BatchSize, DeviceFailed

logger = structlog.get_logger(__name__)
WORKER = f"{socket.gethostname()}:{os.getpid()}"
HEARTBEAT_SECONDS = 20
WARM = Path(tempfile.gettempdir()) / "lesionlens-warm"  # touched at each heartbeat, for a probe that costs nothing
SIZE = BatchSize(settings.INFERENCE_BATCH)
DEVICE = Lock()  # held by the thread that loads or runs a model
_has_answered = Event()


@lru_cache(maxsize=1)
def _runtime(bundle_sha256: str) -> Runtime:
    release = ModelRelease.objects.get(bundle_sha256=bundle_sha256)
    started = time.monotonic()
    runtime = Runtime(fetch_bundle(release), cache=settings.RUNTIME_CACHE)
    width, height = runtime.bundle.frame
    blank = np.zeros((height, width, 3), np.uint8)
    SIZE.images, SIZE.fewest = settings.INFERENCE_BATCH, runtime.fewest
    SIZE.check(runtime.predict, blank)
    if not SIZE.images:
        SIZE.find(runtime.predict, blank)
    _has_answered.set()
    logger.info("model_loaded", release=release.name, seconds=round(time.monotonic() - started, 2))
    return runtime


def load_active() -> tuple[ModelRelease, Runtime] | None:
    """The active release and its warm runtime; a newly promoted one is swapped in here, between batches. None where
    there is none that this version can answer with. Raises DeviceFailed where it does not answer a blank image.
    """
    release = active_release()
    if release is None:
        logger.warning("no_active_release")
        return None
    if release.unusable:
        logger.error("release_unusable", release=release.name, why=release.unusable)
        return None
    with DEVICE:
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
                if not warm:
                    ring_now(Task.DRAIN, again=True)  # what is queued waits for no sweep, which may be dead
                warm = True
                heartbeat(worker=WORKER, release=loaded[0])
        except DeviceFailed:
            die()
        except Exception:
            logger.exception("not_warm")  # the database or storage is away, or the bundle is unusable: try again
        if warm:  # also while the database is away: to start this process again would not bring it back
            WARM.touch()
        if stop.wait(HEARTBEAT_SECONDS):
            break
    connection.close()


def die() -> None:
    """End this process at once, as its device answers nothing any more: whoever keeps it starts it again, and what it
    holds goes to others when its leases run out. An orderly stop would begin with what is queued next, and the first
    process of a container, as in a pod, cannot kill itself by a signal.

    One that has not answered yet stays, and tries again: the release may be at fault, or another process that has the
    memory, which a new start would not change.
    """
    logger.exception("device_failed", worker=WORKER)
    if _has_answered.is_set():
        os._exit(1)


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
