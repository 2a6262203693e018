"""How long a batch of ten thousand cases takes to hand out, and how much memory: `python -m tests.bench.results_out`.

A Postgres of its own is filled by SQL. Each form is asked for through the site's whole middleware, and read to its end,
in processes of its own: what one form left behind would hide what the next takes, and to watch the memory takes time.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from tests.bench.database import own_database
from tests.bench.figures import Figure
from tests.bench.memory import watched
from tests.bench.report import alone

if TYPE_CHECKING:
    from django.test import Client

CASES: Final = 10_000
FORMS: Final = {"CSV": "results.csv", "JSON": "results.json", "FHIR Bundle": "fhir", "PDF report": "report.pdf"}
FEW: Final = 5.0  # seconds
SMALL: Final = 500.0  # MB


def measure(scale: float) -> Sequence[Figure]:
    """For each form the seconds, and the MB by which the site's process grew, with those of what it started."""
    with own_database():
        return _figures(round(scale * CASES))


def _figures(cases: int) -> list[Figure]:
    from tests.bench.finished import Rows
    from tests.factories import api_key
    from webapp.cases.models import Batch

    Rows(smallest=2 * cases)
    batch = Batch.objects.get(name=f"{cases} cases")
    _, secret = api_key(organisation=batch.organisation)
    address = f"/api/v1/batches/{batch.pk}"
    figures = []
    for name, path in FORMS.items():
        with _site() as site:
            site.submit(_begin, secret, address).result()
            seconds, size = site.submit(_hand_out, secret, f"{address}/{path}").result()
        with _site() as site, watched(site.submit(_begin, secret, address).result()) as held:
            site.submit(_hand_out, secret, f"{address}/{path}").result()
        note, grown = f"{cases:,} cases, {size / 1e6:.1f} MB", max(held) - held[0]
        figures.append(Figure(name, seconds, "s", f"< {FEW:.0f}", met=seconds < FEW, note=note))
        figures.append(Figure(f"{name}: memory", grown, "MB", f"< {SMALL:.0f}", met=grown < SMALL))
    return figures


def _site() -> ProcessPoolExecutor:
    """A process that has just started."""
    return ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))


def _begin(secret: str, address: str) -> int:
    """Import the site and connect; gives the process's id."""
    import django

    django.setup()
    _client(secret).get(address)
    return os.getpid()


def _hand_out(secret: str, address: str) -> tuple[float, int]:
    """The seconds that it takes to read all of it, and its bytes."""
    started, size = time.monotonic(), 0
    for piece in _client(secret).get(address):
        size += len(piece)
    return time.monotonic() - started, size


def _client(secret: str) -> "Client":
    from django.test import Client

    return Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Bearer {secret}"})


if __name__ == "__main__":
    sys.exit(alone("results_out", measure))
