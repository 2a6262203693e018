"""The fault test of the test suite at 2,000 images, with the shipped bundle: `python -m tests.bench.faults`.

Kills the inference worker three times, empties Redis once and restarts Postgres once in the middle of a batch, and
counts in the database and in the mailbox what became of each image.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.local.clinic import Clinic
from deploy.local.samples import read_synthetic
from deploy.local.stack import running_stack
from tests.bench.figures import Figure
from tests.bench.report import alone
from tests.e2e.faults import break_everything

IMAGES: Final = 2000
TIMEOUT: Final = 1800  # seconds


def measure(scale: float) -> Sequence[Figure]:
    """What came of each image. Raises TimeoutError where the batch does not end."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-faults-") as folder:
        state = Path(folder)
        state.chmod(0o755)  # the embedded Postgres runs as another user
        with running_stack(state, isolated=True, environment={"LEASE_SECONDS": "20"}) as stack:
            clinic = Clinic(stack.base_url, json.loads(stack.manage("demo_accounts"))["api_key"])
            photos = read_synthetic(state / "synthetic", max(20, round(scale * IMAGES)))
            report = break_everything(stack, clinic, photos, timeout=TIMEOUT)
            clinic.close()
    taken = report.images - report.refused
    wrong = taken - report.images_with_one_result
    late = report.struck_at[-1] >= report.images
    return [
        Figure("images that were taken for lesions", taken, note=f"of {report.images}; the others were refused"),
        Figure("of these, without a result or with several", wrong, target="0", met=wrong == 0),
        Figure("results", report.results, target=f"{taken}", met=report.results == taken),
        Figure("jobs left over", report.live_jobs, target="0", met=report.live_jobs == 0),
        Figure(
            "messages that went out",
            report.messages_in_mailbox,
            target="1",
            met=report.messages_sent == report.messages_in_mailbox == 1,
        ),
        Figure(
            "images that had ended when the last fault struck",
            report.struck_at[-1],
            target=f"< {report.images}",
            met=not late,
            note=f"the faults struck at {', '.join(map(str, report.struck_at))}",
        ),
        Figure("time from the upload to the last result", report.seconds, "s"),
    ]


if __name__ == "__main__":
    sys.exit(alone("faults", measure))
