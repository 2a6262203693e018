"""How long a batch of ten thousand cases takes to hand out, and how much memory: `python -m tests.bench.results_out`.

A Postgres of its own is filled by SQL. Each form is asked for through the site's whole middleware, and read to its end.
"""

import resource
import sys
import time
from collections.abc import Sequence
from typing import Final

from tests.bench.database import own_database
from tests.bench.figures import Figure
from tests.bench.report import alone

CASES: Final = 10_000
FORMS: Final = {"CSV": "results.csv", "FHIR Bundle": "fhir", "PDF report": "report.pdf"}
FEW: Final = 5.0  # seconds
SMALL: Final = 500.0  # MB


def measure(scale: float) -> Sequence[Figure]:
    """For each form the seconds, and the MB by which the site's process grew, with those of the typesetter."""
    with own_database():
        return _figures(round(scale * CASES))


def _figures(cases: int) -> list[Figure]:
    from django.test import Client

    from tests.bench.finished import Rows
    from tests.factories import api_key
    from webapp.cases.models import Batch

    Rows(smallest=2 * cases)
    batch = Batch.objects.get(name=f"{cases} cases")
    _, secret = api_key(organisation=batch.organisation)
    client = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Bearer {secret}"})
    client.get(f"/api/v1/batches/{batch.pk}")  # imports, and connects
    figures = []
    for name, path in FORMS.items():
        before, started, size = _peaks(), time.monotonic(), 0
        for piece in client.get(f"/api/v1/batches/{batch.pk}/{path}"):
            size += len(piece)
        seconds, (own, child), (own_before, child_before) = time.monotonic() - started, _peaks(), before
        grown = own - own_before + (child if child > child_before else 0)
        note = f"{cases:,} cases, {size / 1e6:.1f} MB"
        figures.append(Figure(name, seconds, "s", f"< {FEW:.0f}", met=seconds < FEW, note=note))
        figures.append(Figure(f"{name}: memory", grown, "MB", f"< {SMALL:.0f}", met=grown < SMALL))
    return figures


def _peaks() -> tuple[float, float]:
    """The most that this process has held, and the most that one of those has that it started, in MB."""
    own, child = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own, child


if __name__ == "__main__":
    sys.exit(alone("results_out", measure))
