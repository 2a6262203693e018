"""How long one patient's photo takes, on an idle service and beside a large batch: `python -m tests.bench.interactive`.

From the moment that the photo is in storage to the moment that its batch has ended, by the service's own clock. Under
load twice, each with the target: while the model works on bulk images that were checked before, and while more batches
of them arrive and are checked on the same cores.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np

from ml.runtime import Runtime
from tests.bench.drain import clean_files
from tests.bench.figures import Figure
from tests.bench.report import alone
from tests.bench.service import Service, photos, running_service

BULK = 5000
PHOTOS = 100
PER_PATIENT = 20  # the site takes no more of one patient in a day
BATCH = 32  # as the service's INFERENCE_BATCH
ALLOWED = 1.5  # batches of the model

TOOK = """
SELECT extract(epoch FROM batch.finished_at - image.stored_at)
FROM cases_batch batch JOIN cases_image image ON image.batch_id = batch.id
WHERE image.case_id = %s AND batch.finished_at IS NOT NULL
"""


def measure(scale: float) -> Sequence[Figure]:
    """Median, 95th and 99th percentile, idle and under load, and what the load adds in batches of the model."""
    bulk = max(300, round(BULK * scale))
    wanted = max(10, round(PHOTOS * scale))
    with running_service() as service:
        took = waits(service)
        idle = [next(took) for _ in range(wanted)]
        clinic = service.clinic("group")
        service.hold_inference()
        batch = clinic.submit(photos(bulk), name="overnight")["id"]
        service.wait_for_intake(batch)
        model = model_batch_seconds(service.runtime(), clean_files(service, batch)[:BATCH])
        service.start_inference()
        at_the_model = list(while_not(lambda: service.has_ended(batch), took))
        while_arriving: list[float] = []
        with ThreadPoolExecutor(1) as sending:
            while len(while_arriving) < wanted:
                arriving = sending.submit(clinic.submit, photos(bulk, start=bulk), name="morning")
                while_arriving += while_not(arriving.done, took)
        clinic.close()
    return [
        *spread("idle", idle),
        *spread("while a batch is at the model", at_the_model),
        *spread("while batches arrive", while_arriving),
        Figure("one batch of the model", model * 1000, "ms", note=f"{BATCH} images, bare runtime"),
        added("at p95 by a batch at the model", at_the_model, idle, model),
        added("at p95 by batches that arrive", while_arriving, idle, model),
    ]


def added(name: str, loaded: Sequence[float], idle: Sequence[float], model: float) -> Figure:
    """What a load adds to the time that 95 of 100 photos take at most, in batches of the model."""
    batches = float(np.percentile(loaded, 95) - np.percentile(idle, 95)) / model
    return Figure(f"added {name}", batches, "model batches", f"≤ {ALLOWED}", batches <= ALLOWED)


def waits(service: Service) -> Iterator[float]:
    """Sends one photo after the other, each when the one before has ended; gives how many seconds each took."""
    for number in count():
        patient = service.patient(f"surgery-{number}")
        for photo in photos(PER_PATIENT, start=number * PER_PATIENT):
            case = patient.send(photo)
            while not (rows := service.query(TOOK, case)):
                time.sleep(0.01)
            yield float(rows[0][0])


def while_not(done: Callable[[], bool], took: Iterator[float]) -> Iterator[float]:
    """What `took` gives until `done()`; the photo that was under way then does not count."""
    for seconds in took:
        if done():
            return
        yield seconds


def model_batch_seconds(runtime: Runtime, files: Sequence[Path]) -> float:
    """The median time that the bare runtime takes for one batch, prepared."""
    prepared = [runtime.prepare(file.read_bytes()) for file in files]
    took = []
    for _ in range(10):
        started = time.monotonic()
        runtime.predict(prepared)
        took.append(time.monotonic() - started)
    return float(np.median(took))


def spread(name: str, seconds: Sequence[float]) -> Iterator[Figure]:
    """The percentiles that people ask for, in milliseconds."""
    for percent in (50, 95, 99):
        value = float(np.percentile(seconds, percent)) * 1000
        yield Figure(f"{name}, p{percent}", value, "ms", note=f"{len(seconds)} photos")


if __name__ == "__main__":
    sys.exit(alone("interactive", measure))
