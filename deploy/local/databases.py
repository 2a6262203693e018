"""Postgres and Redis for a run on this machine: those that the environment names, or embedded ones."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.keeper import Server
from deploy.local.postgres import Postgres, embedded_postgres
from deploy.local.redis import RedisServer, embedded_redis


@dataclass(frozen=True)
class Databases:
    """Where the databases are, and the servers that were started for it (None: they run elsewhere)."""

    postgres: Postgres | None
    redis: RedisServer | None
    environment: dict[str, str]

    @property
    def embedded(self) -> dict[str, Server]:
        """The embedded servers by name."""
        servers: dict[str, Server | None] = {"postgres": self.postgres, "redis": self.redis}
        return {name: server for name, server in servers.items() if server is not None}


@contextmanager
def databases(folder: Path, *, isolated: bool = False, durable: bool = True) -> Iterator[Databases]:
    """DATABASE_URL and REDIS_URL as the environment gives them, else embedded servers with their data in `folder`.

    `isolated` starts embedded servers whatever the environment says.
    """
    with ExitStack() as stack:
        postgres = redis = None
        environment = {}
        logs = folder / "logs"
        if isolated or not os.environ.get("DATABASE_URL"):
            server = embedded_postgres(folder / "postgres", log=logs / "postgres.log", durable=durable)
            postgres = stack.enter_context(server)
            environment["DATABASE_URL"] = postgres.url
        if isolated or not os.environ.get("REDIS_URL"):
            redis = stack.enter_context(embedded_redis(log=logs / "redis.log"))
            environment["REDIS_URL"] = redis.url
        yield Databases(postgres, redis, environment)
