"""`python -m deploy.local`: whatever ends it, and whenever, all that it started ends too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deploy.processes import eventually, left_over

ROOT = Path(__file__).resolve().parents[2]


def start(state: Path, *command: str) -> "subprocess.Popen[str]":
    """Run a command with embedded databases, and hear Ctrl-C: what is started behind another command does not."""
    argv = [sys.executable, "-m", "deploy.local", "exec", "--state", str(state), "--", *command]
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the command inherits
    try:
        return subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_command_finds_the_databases_in_its_environment(state_folder: Path) -> None:
    with start(state_folder, "sh", "-c", "echo $DATABASE_URL $REDIS_URL; exit 7") as run:
        output, _ = run.communicate(timeout=60)
    database, redis = output.split()
    assert database.endswith("/lesionlens")
    assert redis.startswith("redis://127.0.0.1:")
    assert run.returncode == 7
    assert left_over(state_folder) == []


@pytest.mark.parametrize(
    ("number", "delay"),
    [
        (signal.SIGINT, 0.4),
        (signal.SIGINT, 1.5),
        (signal.SIGTERM, 0.8),
        (signal.SIGKILL, 0.4),
        (signal.SIGKILL, 1.5),
        (signal.SIGKILL, 4),
    ],
)
def test_an_end_at_any_moment_leaves_nothing_running_and_the_next_run_works(
    state_folder: Path, number: signal.Signals, delay: float
) -> None:
    with start(state_folder, "sleep", "600") as run:
        time.sleep(delay)
        run.send_signal(number)
        run.communicate(timeout=30)
    assert eventually(lambda: left_over(state_folder) == []), left_over(state_folder)
    with start(state_folder, "echo", "sound") as run:
        output, _ = run.communicate(timeout=60)
    assert output == "sound\n"


def test_a_second_run_on_the_same_folder_is_refused(state_folder: Path) -> None:
    with start(state_folder, "sh", "-c", "echo up; sleep 600") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "up\n"
        with start(state_folder, "true") as second:
            output, _ = second.communicate(timeout=60)
        first.terminate()
    assert second.returncode == 1
    assert f"running already from {state_folder} (process {first.pid})" in output


@pytest.mark.parametrize(
    ("command", "port", "told"),
    [
        (["serve"], "http", "PORT is 'http'. Set it to a whole number from 0 to 65535."),
        (["serve"], "70000", "PORT is '70000'. Set it to a whole number from 0 to 65535."),
        (["demo", "--count", "0"], "8000", "--count is how many cases to submit, at least 1"),
        (["demo", "--images", "absent", "--metadata", "absent"], "8000", "IMAGES is a folder of images"),
    ],
)
def test_who_asks_for_what_cannot_be_is_told_in_a_sentence(command: list[str], port: str, told: str) -> None:
    argv = [sys.executable, "-m", "deploy.local", *command]
    environment = {**os.environ, "PORT": port}
    said = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert told in said.stderr
    assert "Traceback" not in said.stderr
