"""How soon an inference worker is ready, and how much memory it holds: `python -m tests.bench.worker_start`.

Starts it twice on a service of its own: with a cold cache of converted networks, then with a warm one. Ready means
that its heartbeat names the active release; memory is read after it has answered a batch of 100 images.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from deploy.local.clinic import Clinic
from deploy.local.samples import read_synthetic
from deploy.local.stack import Stack, running_stack
from tests.bench.figures import Figure
from tests.bench.report import alone

OTHERS = ("web", "worker-cpu", "worker-training", "scheduler")
IMAGES = 100


def measure(scale: float) -> Sequence[Figure]:
    """Seconds and megabytes; `scale` is that of the batch after which memory is read."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-start-") as folder:
        state = Path(folder)
        state.chmod(0o755)  # the embedded Postgres runs as another user
        environment = {"RUNTIME_CACHE": str(state / "runtime")}
        with running_stack(state, isolated=True, environment=environment, services=OTHERS) as stack:
            cold = seconds_until_ready(stack)
            stack.stop("worker-inference")
            time.sleep(3)  # readiness is remembered for two seconds
            warm = seconds_until_ready(stack)
            clinic = Clinic(stack.base_url, json.loads(stack.manage("demo_accounts"))["api_key"])
            images = max(1, round(scale * IMAGES))
            batch = clinic.submit(read_synthetic(state / "synthetic", images), name="memory")
            list(clinic.progress(batch["id"]))
            clinic.close()
            resident = resident_megabytes(stack.process("worker-inference").pid)
    return [
        Figure("inference worker ready, nothing converted yet", cold, "s"),
        Figure("inference worker ready, networks converted before", warm, "s"),
        Figure(f"memory of the inference worker after {images} images", resident, "MB"),
    ]


def seconds_until_ready(stack: Stack) -> float:
    """From the start of the worker's process to the first answer of /readyz that a model is loaded."""
    started = time.monotonic()
    stack.process("worker-inference").start()
    while time.monotonic() - started < 300:
        checks = httpx.get(f"{stack.base_url}/readyz").json()["checks"]
        if checks["model"]["ok"]:
            return round(time.monotonic() - started, 1)
        time.sleep(0.1)
    raise TimeoutError("the inference worker was not ready within 300 s")


def resident_megabytes(pid: int) -> int:
    """The memory that the process holds now."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    sys.exit(alone("worker_start", measure))
