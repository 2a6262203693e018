"""Which code this is, for manifests."""

import os
import subprocess
from pathlib import Path


def code_version() -> str:
    """`LESIONLENS_CODE_VERSION` where set (an image without a repository), else the commit, else `unknown`."""
    stated = os.environ.get("LESIONLENS_CODE_VERSION")
    if stated:
        return stated
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "unknown"
