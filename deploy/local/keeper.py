"""Starts again what dies, with pauses that grow, and gives up what dies time after time."""

import time
from collections.abc import Callable
from typing import Protocol

from deploy.local.process import ProcessDied

TRIES = 5
FIRST_PAUSE = 1.0  # seconds; each is twice the one before
STEADY_SECONDS = 60.0  # what has run for so long died of something else than the last time


class Server(Protocol):
    """What can be kept: a process, or a database that is one."""

    def check(self) -> None:
        """Raise ProcessDied if it has ended by itself."""

    def kill(self) -> None:
        """End what is left of it."""

    def start(self) -> None:
        """Start it. Raises ProcessDied, TimeoutError."""


class Keeper:
    """Keeps one server running."""

    def __init__(self, name: str, server: Server, *, say: Callable[[str], None]) -> None:
        """`say` is told of each death and each start, in a sentence."""
        self._name = name
        self._server = server
        self._say = say
        self._deaths = 0
        self._started = time.monotonic()
        self._due: float | None = None

    def look(self) -> None:
        """Do what is to be done now. Raises ProcessDied, with the end of its log, after TRIES deaths in a row."""
        try:
            if self._due is None:
                self._server.check()
            elif time.monotonic() >= self._due:
                self._due, self._started = None, time.monotonic()
                self._server.start()
                self._say(f"{self._name} was started again.")
        except (ProcessDied, TimeoutError) as death:
            self._note(death)

    def _note(self, death: Exception) -> None:
        steady = time.monotonic() - self._started > STEADY_SECONDS
        self._deaths = 1 if steady else self._deaths + 1
        if self._deaths == TRIES:
            raise ProcessDied(f"{self._name} died {TRIES} times in a row. The last time: {death}") from death
        pause = FIRST_PAUSE * 2 ** (self._deaths - 1)
        what = str(death).partition("\n")[0]
        self._say(f"{what} It is started again in {pause:.0f} s; its log says more.")
        self._server.kill()
        self._due = time.monotonic() + pause
