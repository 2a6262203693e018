"""How much memory processes hold, and whether it grows."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

GROWTH_SHARE: Final = 0.05
GROWTH_MB: Final = 10.0
LOOKS: Final = 50  # a second
WARM_UP: Final = 1 / 6
"""The share of the time in which caches fill and pools open, which is not growth."""


def children(pid: int) -> Iterator[int]:
    """The processes that this one has started and that live now."""
    with suppress(OSError):  # it has ended meanwhile
        for task in list(Path(f"/proc/{pid}/task").iterdir()):
            yield from map(int, (task / "children").read_text().split())


def family(pid: int) -> list[int]:
    """A process, what it has started, and what these have."""
    return [pid, *(descendant for child in children(pid) for descendant in family(child))]


def megabytes(pid: int) -> float:
    """What the process and its descendants have allocated, in MB; a page that n of them share counts once.

    Anonymous pages only (`Pss_Anon` of /proc/<pid>/smaps_rollup): files that the kernel keeps mapped, and Postgres's
    buffers, whose size is a setting, are no sign of a leak.
    """
    total = 0
    for member in family(pid):
        with suppress(OSError):
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss_Anon:"))
    return total / 1024


@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """What the process and its descendants hold from now on, in MB: at the start, and then 50 times a second.

    The kernel's own high-water marks say less: they keep what was held before, and a process that is started inherits
    that of who started it.
    """
    held, ended = [megabytes(pid)], threading.Event()

    def look() -> None:
        while not ended.wait(1 / LOOKS):
            held.append(megabytes(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield held
    finally:
        ended.set()
        thread.join()


@dataclass
class Course:
    """The memory of one process over time."""

    seconds: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)

    def note(self, at: float, megabytes: float) -> None:
        """Add what it held `at` so many seconds after the start."""
        self.seconds.append(at)
        self.held.append(megabytes)

    @property
    def start(self) -> float:
        """MB after warming up: the median over the second sixth of the time."""
        return self._median(WARM_UP, 2 * WARM_UP)

    @property
    def end(self) -> float:
        """MB at the end: the median over the last sixth."""
        return self._median(1 - WARM_UP, 1)

    @property
    def flat(self) -> bool:
        """Whether it has grown by less than 5 % or by less than 10 MB since it was warm."""
        return self.end - self.start < max(GROWTH_MB, GROWTH_SHARE * self.start)

    @property
    def slope(self) -> float:
        """MB an hour since it was warm, by least squares."""
        since = self._between(WARM_UP, 1)
        return float(np.polyfit(np.array(self.seconds)[since], np.array(self.held)[since], 1)[0]) * 3600

    def _median(self, first: float, last: float) -> float:
        return float(np.median(np.array(self.held)[self._between(first, last)]))

    def _between(self, first: float, last: float) -> Sequence[bool]:
        share = np.array(self.seconds) / self.seconds[-1]
        return list((share >= first) & (share <= last))
