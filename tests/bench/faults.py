"""The fault test at any size, with the shipped bundle: `python -m tests.bench.faults --images 200`.

Kills the inference worker three times, empties Redis once and restarts Postgres once in the middle of a batch, and
prints what became of each image.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from deploy.local.clinic import Clinic
from deploy.local.samples import read_synthetic
from deploy.local.stack import running_stack
from tests.e2e.faults import break_everything


def main() -> int:
    """Run it; the exit status says whether every image ended exactly once and one message went out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--timeout", type=float, default=900, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lesionlens-faults-") as folder:
        state = Path(folder)
        state.chmod(0o755)  # the embedded Postgres runs as another user
        with running_stack(state, isolated=True, environment={"LEASE_SECONDS": "20"}) as stack:
            clinic = Clinic(stack.base_url, json.loads(stack.manage("demo_accounts"))["api_key"])
            photos = read_synthetic(state / "synthetic", options.images)
            report = break_everything(stack, clinic, photos, timeout=options.timeout)
            clinic.close()
    print(json.dumps(asdict(report), indent=2))
    return 0 if report.nothing_lost_or_doubled else 1


if __name__ == "__main__":
    sys.exit(main())
