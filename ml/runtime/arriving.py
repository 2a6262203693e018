"""Folders that appear whole under their name: until then they have another, which a process that dies leaves behind."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

ARRIVING: Final = ".arriving-"
BROKEN_OFF_SECONDS: Final = 3600
"""Since the last file began to arrive: no process takes so long over one."""


def forget_broken_off(parent: Path) -> None:
    """Delete what processes that died have left half made in `parent`."""
    for arriving in parent.glob(f"{ARRIVING}*"):
        with suppress(FileNotFoundError):  # it is whole by now, or another process has deleted it
            if time.time() - arriving.stat().st_mtime > BROKEN_OFF_SECONDS:
                shutil.rmtree(arriving, ignore_errors=True)
