"""A child process is reported when it dies, and is never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.process import Process, ProcessDied
from tests.deploy.processes import SLEEP, alive, eventually

AUTOGROUP = Path("/proc/self/autogroup")
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(15, 1); print('up', flush=True); time.sleep(600)"]
# A parent that starts a child, says its process id, and then waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from deploy.local.process import Process
child = Process("child", [sys.executable, "-c", "import time; time.sleep(600)"], log=Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_it_runs_until_its_block_ends(tmp_path: Path) -> None:
    with Process("sleeper", SLEEP, log=tmp_path / "log") as process:
        process.wait_until(lambda: "up" in process.output())
        pid = process.pid
        assert alive(pid)
    assert not alive(pid)
    assert not process.running


def test_one_that_ignores_the_request_is_killed_after_its_grace(tmp_path: Path) -> None:
    with Process("deaf", DEAF, log=tmp_path / "log", grace=0.2) as process:
        process.wait_until(lambda: "up" in process.output())
        pid = process.pid
    assert not alive(pid)


def test_grandchildren_are_killed_with_it(tmp_path: Path) -> None:
    argv = ["bash", "-c", "trap '' TERM; sleep 600 & echo $!; wait; wait"]
    with Process("family", argv, log=tmp_path / "log", grace=0.2) as process:
        process.wait_until(lambda: process.output().strip().isdigit())
        grandchild = int(process.output())
    assert eventually(lambda: not alive(grandchild))


def test_one_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print('the disk is on fire'); raise SystemExit(3)"]
    process = Process("worker", argv, log=tmp_path / "worker.log")
    process.start()
    with pytest.raises(ProcessDied, match=r"worker ended with exit code 3(.|\n)*the disk is on fire"):
        process.wait_until(lambda: False)


def test_one_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    with (
        Process("slow", SLEEP, log=tmp_path / "log") as process,
        pytest.raises(TimeoutError, match="slow was not ready"),
    ):
        process.wait_until(lambda: False, timeout=0.1)


def test_it_can_be_started_again_and_shows_only_its_latest_output(tmp_path: Path) -> None:
    process = Process("sleeper", SLEEP, log=tmp_path / "log")
    for _ in range(2):
        with process:
            process.wait_until(lambda: "up" in process.output())
            assert process.output().split() == ["up"]
    assert (tmp_path / "log").read_text().split() == ["up", "up"]


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share processors by sessions")
def test_it_has_its_share_of_a_busy_processor(tmp_path: Path) -> None:
    with Process("sleeper", SLEEP, log=tmp_path / "log", niceness=5) as process:
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 5
        assert Path(f"/proc/{process.pid}/autogroup").read_text().endswith("nice 5\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path / "log"], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    with parent.stdout as output:
        child = int(output.readline())
    assert alive(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert eventually(lambda: not alive(child))
