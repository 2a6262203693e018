"""What a clinic loses to another clinic's backlog: `python -m tests.bench.fairness [--scale 0.1]`.

A batch of 200 images is sent alone, and again 30 s after another clinic began to send 5,000. Both times count from the
first byte to the end of the last image, so they cover the upload, the check of the files and the model.
"""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy.local.clinic import Clinic, Photo
from tests.bench.figures import Figure
from tests.bench.report import alone
from tests.bench.service import Service, photos, running_service

LARGE, SMALL = 5000, 200
HEAD_START = 30.0  # seconds
ALLOWED = 2.5


def measure(scale: float) -> Sequence[Figure]:
    """How long the small batch takes alone and behind the large one, and their ratio."""
    large, small = max(100, round(LARGE * scale)), max(20, round(SMALL * scale))
    with running_service() as service:
        service.start_inference()  # so that the model is in memory
        backlog, waiting = service.clinic("backlog"), service.clinic("waiting")
        by_itself = seconds_for(service, waiting, photos(small))
        many, few = photos(large, start=small), photos(small, start=small + large)
        with ThreadPoolExecutor(1) as sending:
            ahead = sending.submit(backlog.submit, many, name="backlog")
            time.sleep(HEAD_START * scale)
            behind = seconds_for(service, waiting, few)
            overtaken = not (ahead.done() and service.has_ended(ahead.result()["id"]))
            ahead.result()
        backlog.close()
        waiting.close()
    ratio = behind / by_itself
    return [
        Figure("alone", by_itself, "s", note=f"{small} images"),
        Figure("behind another clinic", behind, "s", note=f"{large} images ahead"),
        Figure("large batch was still running", overtaken, note="1: else nothing was measured"),
        Figure("behind ÷ alone", ratio, "", f"≤ {ALLOWED}", ratio <= ALLOWED and overtaken),
    ]


def seconds_for(service: Service, clinic: Clinic, sent: Sequence[Photo]) -> float:
    """From the first byte to the end of the last image."""
    started = time.monotonic()
    service.wait_for_end(clinic.submit(sent, name="bench")["id"])
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(alone("fairness", measure))
