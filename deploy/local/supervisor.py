"""Starts a set of named processes, says which one dies, and stops every one of them whatever happens."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

from deploy.local.keeper import Keeper, Server
from deploy.local.process import POLL_SECONDS, Process, uninterrupted


class Supervisor:
    """Processes by name. One that dies is a fault to look at: `check` raises it; `watch` says it and goes on."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}
        self._ready: dict[str, Callable[[Process], bool]] = {}

    def add(self, process: Process, *, ready: Callable[[Process], bool]) -> None:
        """Take charge of a process that has not been started; `ready(process)` says when it can do its work."""
        self._processes[process.name] = process
        self._ready[process.name] = ready

    @property
    def names(self) -> list[str]:
        """Every process, in the order in which they were added."""
        return list(self._processes)

    def process(self, name: str) -> Process:
        """One of the processes. Raises KeyError, naming those there are."""
        if name not in self._processes:
            raise KeyError(f"there is no process {name!r}, only {', '.join(self.names)}")
        return self._processes[name]

    def start(self, *names: str) -> None:
        """Start these (all, if none is named) side by side, and wait until each is ready.

        Raises ProcessDied, with the end of its log, if any process dies meanwhile, and TimeoutError.
        """
        processes = [self.process(name) for name in names or self.names]
        for process in processes:
            process.start()
        for process in processes:
            process.wait_until(partial(self._is_ready, process), timeout=60)

    def stop(self, *names: str) -> None:
        """Stop these (all, if none is named) side by side, killing what does not stop in time."""
        processes = [self.process(name) for name in names or self.names]
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.stop()

    def kill(self, name: str) -> None:
        """SIGKILL one process with all its children."""
        self.process(name).kill()

    def restart(self, name: str) -> None:
        """Stop one process, and start it again."""
        self.stop(name)
        self.start(name)

    def check(self) -> None:
        """Raise ProcessDied if any of `servers` has ended by itself."""
        for server in self.servers().values():
            server.check()

    def servers(self) -> Mapping[str, Server]:
        """What `watch` keeps running, by name."""
        return self._processes

    def watch(self, *, say: Callable[[str], None]) -> None:
        """Run for good: what dies is started again, and `say` is told.

        Raises ProcessDied, with the end of its log, when one dies time after time.
        """
        keepers = [Keeper(name, server, say=say) for name, server in self.servers().items()]
        while True:
            for keeper in keepers:
                keeper.look()
            time.sleep(POLL_SECONDS * 10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with uninterrupted():
            self.stop()

    def _is_ready(self, process: Process) -> bool:
        self.check()
        return self._ready[process.name](process)
