"""Child processes of ours: what makes them end with us, and how much of the processor they get."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def dies_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it becomes its program: ask Linux for `number` when its parent dies; None elsewhere."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


def set_niceness(pid: int, niceness: int) -> None:
    """Give a process that leads a session more of a busy processor than others (below 0, as root) or less (above).

    Linux shares a processor by sessions (autogroups of sched(7)) and only then by processes. Nothing happens where this
    user may not, or the process has ended.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
