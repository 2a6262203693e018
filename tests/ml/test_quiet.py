"""What is left out of standard error, in a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def said(*arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments], stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, cwd=ROOT, check=False
    )
    return finished.stderr


def test_native_errors_are_told_and_greetings_are_not() -> None:
    lines = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1.5 17 port.cc:153] oneDNN is on\nE0000 00:00:1.5 17 port.cc:153] failed\nInformation\n"
    )
    code = "import os\nfrom ml.quiet import leave_out_greetings\nleave_out_greetings()\n"
    assert said("-c", f"{code}os.write(2, {lines!r}.encode())\nos.abort()") == (
        "E0000 00:00:1.5 17 port.cc:153] failed\nInformation\n"
    )


def test_a_command_that_imports_tensorflow_says_what_it_has_to(tiny_bundle: Path, tmp_path: Path) -> None:
    told = said("-m", "ml", "warm", "--bundle", str(tiny_bundle), "--cache", str(tmp_path))
    assert told == "Converted: tiny.\n"
