"""Which code this is, for manifests."""

import os
import subprocess
from pathlib import Path


def code_version() -> str:
    """`LESIONLENS_CODE_VERSION` where set (an image without a repository), else the commit, with `-dirty` where tracked
    files differ from it, else `unknown`.
    """
    stated = os.environ.get("LESIONLENS_CODE_VERSION")
    if stated:
        return stated
    describe = ["describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"]  # the commit, whatever its tags
    command = ["git", "-C", str(Path(__file__).parent), *describe]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "unknown"
