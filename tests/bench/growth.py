"""Whether what people and workers wait on stays as quick as the database grows: `python -m tests.bench.growth`.

A Postgres of its own is filled by SQL with the finished images, cases and answers of ten clinics, in batches of up to
10,000 cases, to 10 thousand, 100 thousand and 1 million. At each size the same questions are asked of a clinic that
grows with the others: claims as a worker makes them, pages and API through the site's whole middleware.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.local import prepare
from deploy.local.databases import databases
from deploy.local.stack import settings_for
from tests.bench.figures import Figure
from tests.bench.report import alone

if TYPE_CHECKING:
    from tests.bench.finished import Question

SIZES: Final = (10_000, 100_000, 1_000_000)
ROUNDS: Final = 25
WARM: Final = 5  # rounds that are not counted
FLAT: Final = 2.0  # times
QUICK: Final = 200.0  # ms


def measure(scale: float) -> Sequence[Figure]:
    """Median times at the largest size, and how many times those at the smallest they are."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-growth-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the embedded Postgres runs as another user
        with databases(folder, isolated=True, durable=False) as servers:
            os.environ |= settings_for(folder, isolated=True) | servers.environment
            prepare.main()
            medians = _medians([round(scale * size) for size in SIZES])
    figures = []
    for what, by_size in medians.items():
        smallest, first = next(iter(by_size.items()))
        *_, last = by_size.values()
        note = ", ".join(f"{median:.1f} ms at {size:,}" for size, median in by_size.items())
        figures.append(Figure(what, last, "ms", f"< {QUICK:.0f}", met=last < QUICK, note=note))
        ratio = last / first
        target = f"≤ {FLAT:g}"
        figures.append(Figure(f"{what}: ÷ at {smallest:,}", ratio, target=target, met=ratio <= FLAT))
    return figures


def _medians(sizes: Sequence[int]) -> dict[str, dict[int, float]]:
    """Of every question, the milliseconds at each size."""
    from tests.bench.finished import Rows

    rows = Rows(smallest=sizes[0])
    medians: dict[str, dict[int, float]] = {}
    for size in sizes:
        started = time.monotonic()
        rows.grow(size)
        print(f"growth: {size:,} finished images after {time.monotonic() - started:.0f} s", file=sys.stderr)
        for question in rows.questions():
            median = _median(question)
            medians.setdefault(question.name, {})[size] = median
            print(f"growth:   {question.name} {median:.1f} ms", file=sys.stderr)
    return medians


def _median(question: "Question") -> float:
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        question.ask()
        taken.append(1000 * (time.perf_counter() - started))
        question.undo()
    return statistics.median(taken[WARM:])


if __name__ == "__main__":
    sys.exit(alone("growth", measure))
