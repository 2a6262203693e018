"""Whether what people and workers wait on stays as quick as the database grows: `python -m tests.bench.growth`.

A Postgres of its own is filled by SQL with the finished images, cases and answers of ten clinics, in batches of up to
10,000 cases, to 10 thousand, 100 thousand and 1 million. At each size the same questions are asked of a clinic that
grows faster than the others, so that a page of its list is 50 of the largest batches: claims as a worker makes them,
pages and API through the site's whole middleware.
"""

import gc
import statistics
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tests.bench.database import own_database
from tests.bench.figures import Figure
from tests.bench.report import alone

if TYPE_CHECKING:
    from tests.bench.finished import Question

SIZES: Final = (10_000, 100_000, 1_000_000)
ROUNDS: Final = 15
FLAT: Final = 2.0  # times
QUICK: Final = 200.0  # ms


def measure(scale: float) -> Sequence[Figure]:
    """Median times at the largest size, and how many times those at the smallest they are."""
    with own_database():
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
    """Of every question, the milliseconds at each size. Sizes are asked in turn, so that all share a slow minute."""
    from tests.bench.finished import Rows, copied, using  # needs Django, which needs the database

    rows = Rows(smallest=sizes[0])
    asked: dict[int, tuple[str, list[Question]]] = {}
    for size in sizes:
        started = time.monotonic()
        rows.grow(size)
        questions = list(rows.questions())  # they sign in, which the copy must know
        asked[size] = copied(f"finished_{size}"), questions
        print(f"growth: {size:,} finished images after {time.monotonic() - started:.0f} s", file=sys.stderr)
    gc.collect()
    gc.freeze()  # as the site does: else full collections, two in each round, may come with the same question in most
    taken: dict[str, dict[int, list[float]]] = {}
    for number in range(ROUNDS):
        print(f"growth: round {number + 1} of {ROUNDS}", file=sys.stderr)
        for size, (database, questions) in asked.items():
            using(database)
            for question in questions:
                _seconds(question)  # a new connection knows nothing yet
                taken.setdefault(question.name, {}).setdefault(size, []).append(1000 * _seconds(question))
    return {what: {size: statistics.median(times) for size, times in each.items()} for what, each in taken.items()}


def _seconds(question: "Question") -> float:
    started = time.perf_counter()
    question.ask()
    seconds = time.perf_counter() - started
    question.undo()
    return seconds


if __name__ == "__main__":
    sys.exit(alone("growth", measure))
