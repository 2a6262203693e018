"""Child processes of ours: what makes them end with us."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

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
