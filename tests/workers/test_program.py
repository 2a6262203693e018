"""A program that a worker runs beside itself."""

import sys
from pathlib import Path

from tests.workers.waiting import wait_for
from workers.program import Program


def test_nothing_of_a_program_is_left_behind(tmp_path: Path) -> None:
    script = (
        "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True); import time; time.sleep(600)"
    )
    with Program([sys.executable, "-c", script], cwd=tmp_path, log=tmp_path / "errors.txt") as program:
        grandchild = next(line for line in program.lines(tick=1) if line)
    wait_for(lambda: not running(int(grandchild)), 10)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
