"""One child process: its own process group, its output in a file, and never left behind."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from webapp.child_processes import dies_with, set_niceness

POLL_SECONDS = 0.05


class ProcessDied(RuntimeError):
    """A child process ended by itself. The message names it and ends with its last lines of output."""


class Process:
    """A named program that can be started, stopped and killed any number of times.

    It stops with this process, even if this one is killed with SIGKILL (on Linux), so that the next run finds nothing
    in its way. Start it from a thread that lives as long as it should: Linux ties it to that thread.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
        grace: float = 5.0,
        niceness: int = 0,
    ) -> None:
        """Describe a program.

        `user` is whom to run as, if this process is root; `stop_signal` asks it to stop, and after `grace` seconds it
        is killed; `death_signal` is what Linux sends it when this process is gone; `niceness` is of `set_niceness`.
        """
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = log
        self.env = env
        self.cwd = cwd
        self.user = user
        self.stop_signal = stop_signal
        self.death_signal = death_signal
        self.grace = grace
        self.niceness = niceness
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError if it has not been started."""
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it. Its output is appended to the log."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(  # noqa: S603 - the argument lists are this package's own
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
                user=self.user,
                extra_groups=[] if self.user else None,
                preexec_fn=dies_with(os.getpid(), self.death_signal),  # noqa: PLW1509 - only calls prctl
            )
        if self.niceness:
            set_niceness(self._child.pid, self.niceness)

    def wait_until(self, ready: Callable[[], bool], *, timeout: float = 30.0) -> None:
        """Wait for `ready()`. Raises ProcessDied if it ends first, TimeoutError if it takes longer than `timeout`."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} was not ready after {timeout:.0f} s.\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise ProcessDied if it was started and has ended by itself."""
        if self._child is not None and (code := self._child.poll()) is not None:
            how = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
            raise ProcessDied(f"{self.name} {how}.\n{self.log_tail()}")

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once, so that several processes can stop side by side."""
        if self.running:
            self._signal_group(self.stop_signal)

    def stop(self) -> None:
        """Ask it to stop, wait up to its grace, then kill what is left of its process group."""
        self.ask_to_stop()
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(self.grace)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the whole process group, and wait for it."""
        if self._child is None:
            return
        self._signal_group(signal.SIGKILL)
        self._child.wait()
        self._child = None

    def output(self) -> str:
        """What it has written since it was last started."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self) -> str:
        """The last lines of its output, for a person, with the path of the rest."""
        tail = "\n".join(f"  {line}" for line in self.output().splitlines()[-25:])
        return f"The end of {self.log}:\n{tail or '  (it wrote nothing)'}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        with uninterrupted():
            self.stop()

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and requests to stop while everything is being stopped already."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: Python did not install it, as when the interpreter is ending
                signal.signal(number, handler)
