"""Processes that tests start, and how they are found to have ended."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def left_over(state: Path) -> list[str]:
    """The processes that still work on this folder: it stands in their command or in their settings."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            settings = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:  # it has ended
            continue
        if str(state) in command + settings:
            found.append(command)
    return found
