"""How many cores this process may use: in a container its quota counts, not what the machine has."""

import math
import os
from contextlib import suppress
from pathlib import Path


def cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The cores that the scheduler gives this process, at most its control group's quota rounded up, and at least 1.

    The kernel stops all threads of a group that has used up its quota until the next period, so more threads than that
    make each answer wait. https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    quota = _quota(cgroup)
    given = len(os.sched_getaffinity(0))
    return given if quota is None else min(given, max(1, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    with suppress(OSError, ValueError):  # version 2: "max" where there is none
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):  # version 1: -1 where there is none
        quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
