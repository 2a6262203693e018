"""A bench in a process of its own, so that its memory, its monkey-patches and its death are its own."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.report import Outcome


def measured(bench: str, module: str, scale: float) -> Outcome:
    """What `module.measure(scale)` gives, or how its process ended. What it prints goes to this terminal."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lesionlens-bench-") as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "tests.bench.one", module, str(scale), str(out)]
        status = subprocess.run(command, check=False).returncode
        seconds = round(time.monotonic() - started, 1)
        if status == 0:
            return Outcome(bench, seconds, [Figure(**figure) for figure in json.loads(out.read_text())])
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return Outcome(bench, seconds, error=f"{how} and gave no figures")
