"""The whole service as processes: it starts, it can be broken and mended by name, and it ends with its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from redis import Redis

from deploy.local.process import ProcessDied
from deploy.local.redis import free_port
from deploy.local.stack import ROOT, Stack, running_stack
from tests.deploy.processes import alive, eventually, left_over
from tests.migrated import copy_migrated
from tests.ml.tiny_bundle import make_tiny_bundle
from tests.servers import HEAVY

pytestmark = pytest.mark.xdist_group(HEAVY)
START_SECONDS = 120


class Enough(Exception):
    """All that died runs again."""


def named_dead(stack: Stack) -> str | None:
    """Whom `check` names as dead."""
    try:
        stack.check()
    except ProcessDied as error:
        return str(error).split(maxsplit=1)[0]
    return None


def test_processes_are_broken_and_mended_by_name(state_folder: Path) -> None:
    copy_migrated(state_folder / "postgres")
    bundle = {"BUNDLE": str(make_tiny_bundle(state_folder / "tiny"))}
    with running_stack(state_folder, isolated=True, environment=bundle, services=["web", "scheduler"]) as stack:
        assert stack.answers()
        pids = [stack.process(name).pid for name in ("web", "scheduler")]
        stack.kill("web")
        assert not stack.answers()
        stack.start("web")
        stack.restart_postgres()
        stack.flush_redis()
        assert eventually(stack.answers)
        assert stack.manage("migrate", "--check") == ""
        stack.check()
        pids.append(stack.process("web").pid)
        dead = {"postgres", "redis", "scheduler"}
        os.kill(stack.process("scheduler").pid, signal.SIGTERM)
        assert eventually(lambda: named_dead(stack) == "scheduler")
        os.kill(int((state_folder / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        Redis.from_url(stack.environment["REDIS_URL"]).shutdown(nosave=True)
        assert eventually(lambda: named_dead(stack) == "postgres")  # of which others may have died

        def say(sentence: str) -> None:
            if sentence.endswith(" was started again."):
                dead.discard(sentence.split(maxsplit=1)[0])
            if not dead:
                raise Enough

        with pytest.raises(Enough):
            stack.watch(say=say)
        stack.check()
        assert eventually(stack.answers)
        assert stack.manage("migrate", "--check") == ""
    assert not any(alive(pid) for pid in pids)
    assert left_over(state_folder) == []


def test_a_newcomer_serves_the_site_and_ends_it_and_serves_it_again(state_folder: Path) -> None:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(state_folder),
        "PORT": str(port),
        "BUNDLE": str(make_tiny_bundle(state_folder / "tiny")),
    }
    argv = [sys.executable, "-m", "deploy.local", "serve", "--state", str(state_folder)]
    for number in (signal.SIGKILL, signal.SIGINT):
        with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as serve:
            assert serve.stdout is not None
            welcome = wait_for_line(serve, "Ctrl-C stops everything.")
            assert f"LesionLens is at http://127.0.0.1:{port}" in welcome
            assert "provider@demo.example" in welcome
            assert httpx.get(f"http://127.0.0.1:{port}/", follow_redirects=True).is_success
            assert len(left_over(state_folder)) > 5
            serve.send_signal(number)
            serve.communicate(timeout=30)
        assert eventually(lambda: left_over(state_folder) == [], seconds=20), left_over(state_folder)


def wait_for_line(process: "subprocess.Popen[str]", line: str) -> str:
    """What the process has printed, up to this line."""
    assert process.stdout is not None
    printed = []
    deadline = time.monotonic() + START_SECONDS
    for text in process.stdout:
        printed.append(text)
        if text.strip() == line or time.monotonic() > deadline:
            break
    return "".join(printed)
