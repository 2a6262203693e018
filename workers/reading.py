"""Images on their way to the model: threads read and decode them ahead."""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ml.runtime import Runtime
from webapp import storage
from webapp.inference.models import Job
from webapp.leases import UNLEASED, excuse


@dataclass(frozen=True)
class Prepared:
    """One image as the model takes it, and the SHA-256 of the file that it came from."""

    pixels: np.ndarray
    sha256: str


Reading = Sequence[tuple[Job, "Future[Prepared]"]]
"""Jobs, and the images that are being read for them."""


def read_ahead(readers: ThreadPoolExecutor, runtime: Runtime, jobs: Iterable[Job]) -> Reading:
    """Start reading the images of these jobs."""
    return [(job, readers.submit(_prepare, runtime, job.image.clean_key)) for job in jobs]


def _prepare(runtime: Runtime, key: str) -> Prepared:
    data = storage.read(key)
    return Prepared(runtime.prepare(data), hashlib.sha256(data).hexdigest())


def put_off(job: Job, reading: Reading, token: uuid.UUID) -> None:
    """Storage could not be asked for the image of this job, which is no attempt; its lease paces the next.

    What is not being read yet goes back to the queue at once: one file that cannot be read holds up no other.
    """
    excuse(Job.objects.filter(pk=job.pk), token)
    let_go([(other, future) for other, future in reading if future.cancel()], token)


def let_go(reading: Reading, token: uuid.UUID) -> None:
    """Let others take these jobs at once: they were not tried."""
    untried = Job.objects.filter(pk__in=[job.pk for job, _ in reading])
    excuse(untried, token, state=Job.State.QUEUED, **UNLEASED)
