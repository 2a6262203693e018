"""How much of the bare model's speed the whole service keeps: `python -m tests.bench.drain [--scale 0.1]`.

A batch is submitted and checked while no inference worker runs. Then the same stored files are answered twice: by the
bare runtime, read and decoded ahead as in `ml.runtime.stream`, and by the service's inference worker, which leases
jobs, reads storage and writes every result. The bare runtime runs before and after, so that a machine that slows down
is seen.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.local.commands import COMMANDS
from ml.runtime import Runtime
from ml.runtime.stream import stream
from tests.bench.figures import Figure
from tests.bench.report import alone
from tests.bench.service import INFERENCE, Service, photos, running_service

IMAGES = 2000
TARGET = 0.90


def measure(scale: float) -> Sequence[Figure]:
    """Images a second through the service and through the bare runtime, and their ratio."""
    others = [name for name in COMMANDS if name != INFERENCE]
    with running_service(services=others) as service:
        clinic = service.clinic("drain")
        batch = clinic.submit(photos(max(1, round(IMAGES * scale))), name="drain")["id"]
        clinic.close()
        service.wait_for_intake(batch)
        files = clean_files(service, batch)
        runtime = service.runtime()
        before = bare_rate(runtime, files)
        service.start_inference()
        started = time.monotonic()
        service.wait_for_end(batch)
        through = len(files) / (time.monotonic() - started)
        service.hold_inference()
        after = bare_rate(runtime, files)
    bare = 2 / (1 / before + 1 / after)
    share = through / bare
    return [
        Figure("images", len(files), note="synthetic, 600 × 450, queued before the inference worker started"),
        Figure("through the service", through, "images/s"),
        Figure("bare runtime", bare, "images/s", note=f"{before:.0f} before, {after:.0f} after"),
        Figure("service ÷ bare runtime", share, target=f"≥ {TARGET:.2f}", met=share >= TARGET),
    ]


def clean_files(service: Service, batch: str) -> list[Path]:
    """The stored pictures of a batch that wait for the model."""
    rows = service.query("SELECT organisation_id, id FROM cases_image WHERE batch_id = %s AND state = 'ready'", batch)
    return [service.stored(f"images/{organisation}/{image}.jpg") for organisation, image in rows]


def bare_rate(runtime: Runtime, files: Sequence[Path]) -> float:
    """Images a second by the bare runtime, warm."""
    list(stream(runtime, files[:64], Path.read_bytes))
    started = time.monotonic()
    answered = sum(1 for _ in stream(runtime, files, Path.read_bytes))
    return answered / (time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(alone("drain", measure))
