"""A program that a worker runs beside itself: its lines as they come, and nothing of it left behind."""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from django.conf import settings

from webapp.child_processes import dies_with, set_niceness

GRACE_SECONDS = 30
END = None


class Program:
    """A child process in a process group of its own, with low priority, that dies with this one (on Linux).

    Leaving the `with` block kills the whole group. Linux ties the child to the thread that starts it.
    """

    def __init__(self, argv: Sequence[str | Path], *, cwd: Path, log: Path) -> None:
        """`log` takes what the program writes to standard error."""
        self._argv, self._cwd, self._log = [str(part) for part in argv], cwd, log
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 - the arguments are the caller's own
                self._argv,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with(os.getpid(), signal.SIGKILL),  # noqa: PLW1509 - only calls prctl
                text=True,
                errors="replace",
            )
        set_niceness(self._child.pid, settings.TRAINING_NICENESS)  # answering patients goes first
        self._reader = threading.Thread(target=self._read, name="program-output", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._reader.join()

    def lines(self, *, tick: float) -> Iterator[str | None]:
        """Each line of its output as it comes, and None whenever `tick` seconds pass without one; ends with it."""
        while True:
            try:
                line = self._lines.get(timeout=tick)
            except queue.Empty:
                yield None
                continue
            if line is END:
                return
            yield line

    def wait(self) -> int:
        """Its exit code, once its output has ended; negative for the signal that killed it."""
        try:
            return self._child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def errors(self, lines: int) -> str:
        """The last lines that it wrote to standard error."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _read(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 - it was asked for
        with self._child.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(END)
