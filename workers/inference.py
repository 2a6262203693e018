"""The inference worker: claims what is queued, reads and decodes ahead, and answers with the model that is warm.

One process for each device, `--pool threads --concurrency 1`. While the model works on bulk, threads read and decode
what it takes next, claim what comes after, and write what it has answered: the device waits for none of that where the
model is slower. Between two of its batches it waits while Postgres says whether somebody came in person, or renews old
leases; and who came is claimed, read, answered and written before it goes on.
"""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog
from django.conf import settings
from django.db import close_old_connections, connections

from ml.imaging.overlay import pack
from ml.imaging.preprocess import VERSION
from ml.imaging.refusal import ImageRefused
from ml.runtime import Prediction, Runtime
from webapp import storage
from webapp.cases.models import NOT_A_LESION, Priority
from webapp.inference.claim import claim_jobs, somebody_waits
from webapp.inference.models import BLAMELESS, Job
from webapp.inference.services import End, Outcome, finish
from webapp.leases import extend
from webapp.queue import Task, ring_now
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release
from workers.predicting import DeviceFailed
from workers.reading import Prepared, Reading, let_go, put_off, read_ahead
from workers.task import stopping, task
from workers.warmth import DEVICE, SIZE, die, load_active

logger = structlog.get_logger(__name__)
READERS = 2
LEASED = 4  # batches of the model, at most, that are claimed and written at once: a dozen queries for all of them
RUN_SECONDS = 60  # then another wake-up goes on, as another worker's does where this one is asked to end


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


@task(Task.DRAIN, soft_limit=600, hard_limit=660)
def drain() -> None:
    """Answer queued images. Where the device fails, this process dies, to be started again."""
    try:
        _answer_all()
    except DeviceFailed:
        die()


def _answer_all() -> None:
    """Until none is left, or RUN_SECONDS are over, or this worker is asked to end: it finishes what it has leased.

    While the model works on the last of what is leased, the next is claimed and read; while it goes on with that, the
    results are written: all at once, but for those that somebody waits for. A suspect is claimed once all else is
    written, and nothing beside it, so that it takes nobody with it.
    """
    stop_at = time.monotonic() + RUN_SECONDS

    def over() -> bool:
        return stopping.is_set() or time.monotonic() >= stop_at

    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers, _database() as database:

        def claim(*, suspects: bool, beside: ModelRelease | None = None) -> "Future[Batch | None]":
            loaded = None if over() else _load(beside)
            return database.submit(_claim, readers, loaded, suspects=suspects)

        batch = claim(suspects=True).result()
        while batch is not None:
            reading, ahead = batch.reading, None
            ends: list[tuple[Job, End]] = []
            try:
                while reading:
                    if not batch.suspect:
                        _answer_people(batch)
                    take = SIZE.to_take()
                    now, reading = reading[:take], reading[take:]
                    if not (reading or batch.suspect or batch.cut_short):
                        ahead = claim(suspects=False, beside=batch.release)
                    ends += _answer(batch, now)
                    if not reading or _of_people(now):
                        database.submit(_write, batch, ends)
                        ends = []
            except DeviceFailed:  # what was at the model runs out with its lease: it may be what broke the device
                database.submit(_write, batch, ends)
                for held in (replace(batch, reading=reading), ahead.result() if ahead else None):
                    if held is not None:
                        let_go(held.reading, held.token)
                raise
            cut_short, batch = batch.cut_short, ahead.result() if ahead else None
            if batch is None and not cut_short:
                batch = claim(suspects=True).result()
    if over():
        ring_now(Task.DRAIN)


@contextmanager
def _database() -> Iterator[ThreadPoolExecutor]:
    """A thread that speaks to Postgres while the model works, one request at a time; at the end all is written."""
    with ThreadPoolExecutor(1, thread_name_prefix="database") as thread:
        try:
            yield thread
        finally:
            thread.submit(connections.close_all)  # those of the thread; `connection.close` would be this one's


def _load(beside: ModelRelease | None) -> tuple[ModelRelease, Runtime] | None:
    """What answers next. None where that cannot be had, as of a release whose bundle storage cannot give just now: no
    more is claimed, and what is leased already is answered by what is warm. Nor is another loaded `beside` the release
    that answers what is leased, whose leases might run out meanwhile. Raises DeviceFailed.
    """
    try:
        if beside is not None and active_release() != beside:
            return None
        return load_active()
    except DeviceFailed:
        raise
    except Exception:
        logger.exception("model_not_loaded")
        return None


def _claim(readers: ThreadPoolExecutor, loaded: tuple[ModelRelease, Runtime] | None, *, suspects: bool) -> Batch | None:
    """Lease the next jobs and start reading their images; None when nothing waits or nothing is loaded."""
    if loaded is None:
        return None
    release, runtime = loaded
    limit = SIZE.to_lease(LEASED)
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
    token, jobs = claim_jobs(limit=SIZE.images, people_only=True)
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
        SIZE.person_came()
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
    with DEVICE:
        predictions = SIZE.predict(batch.runtime.predict, [image.pixels for image in prepared])
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
        preprocessing=VERSION,
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
