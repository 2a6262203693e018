"""The supervisor starts side by side, names the process that dies, and leaves none behind."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import keeper
from deploy.local.process import Process, ProcessDied
from deploy.local.supervisor import Supervisor
from tests.deploy.processes import SLEEP, alive, eventually

DIES = [sys.executable, "-c", "print('no such table: cases'); raise SystemExit(1)"]


def up(process: Process) -> bool:
    """Ready once it has said so."""
    return "up" in process.output()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        for name in ("web", "worker"):
            supervisor.add(Process(name, SLEEP, log=tmp_path / f"{name}.log"), ready=up)
        yield supervisor


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python leaves SIGINT ignored where whoever started it, such as a shell in the background, had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_all_are_stopped_when_a_person_interrupts(tmp_path: Path) -> None:
    supervisor = Supervisor()
    for name in ("web", "worker"):
        supervisor.add(Process(name, SLEEP, log=tmp_path / name), ready=up)

    def run_until_interrupted() -> None:
        with supervisor:
            supervisor.start()
            pids.extend(supervisor.process(name).pid for name in supervisor.names)
            signal.raise_signal(signal.SIGINT)

    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run_until_interrupted()
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_one_that_dies_while_starting_is_named_and_the_others_are_stopped(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.add(Process("web", SLEEP, log=tmp_path / "web.log"), ready=up)
        supervisor.add(Process("worker", DIES, log=tmp_path / "worker.log"), ready=up)
        with pytest.raises(ProcessDied, match=r"worker ended with exit code 1(.|\n)*no such table: cases"):
            supervisor.start()
        web = supervisor.process("web").pid
    assert not alive(web)


class Enough(Exception):
    """The watch has said what was waited for."""


def test_one_that_dies_later_is_started_again_while_the_others_run(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FIRST_PAUSE", 0.01)
    supervisor.start()
    web, worker = supervisor.process("web").pid, supervisor.process("worker").pid
    supervisor.process("worker").ask_to_stop()
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        if len(said) == 2:
            raise Enough

    with pytest.raises(Enough):
        supervisor.watch(say=say)
    assert said[0].startswith("worker was killed by SIGTERM. It is started again in 0 s")
    assert said[1] == "worker was started again."
    assert (supervisor.process("web").pid, supervisor.process("worker").pid != worker) == (web, True)


def test_one_that_dies_time_after_time_ends_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_PAUSE", 0.01)
    said: list[str] = []
    with Supervisor() as supervisor:
        supervisor.add(Process("web", SLEEP, log=tmp_path / "web.log"), ready=up)
        supervisor.add(Process("worker", DIES, log=tmp_path / "worker.log"), ready=up)
        for name in supervisor.names:
            supervisor.process(name).start()
        with pytest.raises(ProcessDied, match=r"worker died 5 times in a row(.|\n)*no such table: cases"):
            supervisor.watch(say=said.append)
    assert len([sentence for sentence in said if sentence.startswith("worker ended with exit code 1")]) == 4


def test_deaths_far_apart_are_not_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(keeper, "STEADY_SECONDS", -1.0)  # each run is long enough
    said: list[str] = []
    with Process("worker", DIES, log=tmp_path / "worker.log") as worker:
        kept = keeper.Keeper("worker", worker, say=said.append)

        def again() -> bool:
            kept.look()
            return said.count("worker was started again.") > keeper.TRIES

        assert eventually(again)


def test_one_process_can_be_killed_and_started_again_while_the_others_run(supervisor: Supervisor) -> None:
    supervisor.start()
    web, worker = supervisor.process("web").pid, supervisor.process("worker").pid
    supervisor.kill("worker")
    assert eventually(lambda: not alive(worker))
    supervisor.check()
    supervisor.start("worker")
    assert supervisor.process("worker").pid != worker
    assert supervisor.process("web").pid == web


def test_an_unknown_name_is_answered_with_the_known_ones(supervisor: Supervisor) -> None:
    with pytest.raises(KeyError, match="no process 'wroker', only web, worker"):
        supervisor.kill("wroker")
