"""Where and when a bench ran, so that its figures can be compared with others."""

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

QUIET = 0.25
"""The load for each core, over the last minute, above which figures would tell of other work too."""


@dataclass(frozen=True)
class Machine:
    """The machine and the day. `load` is how many threads wanted a core at the start, over the last minute; `commit`
    ends in a plus sign when files were changed since.
    """

    processor: str
    cores: int
    memory_gib: float
    date: str
    commit: str
    load: float

    @property
    def quiet(self) -> bool:
        """Whether nothing else was running at the start."""
        return self.load <= QUIET * self.cores

    def __str__(self) -> str:
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_gib:.0f} GiB; {self.date}; commit {self.commit}; "
            f"load at the start {self.load:.2f}"
        )


def this_machine() -> Machine:
    """The machine as it is now."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        commit=_git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        load=round(os.getloadavg()[0], 2),
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip()
