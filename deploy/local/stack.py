"""All of LesionLens on this machine: `running_stack()` is what serves, what the demo uses, and what tests break."""

import fcntl
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx

from deploy.local.commands import COMMANDS
from deploy.local.databases import Databases, databases
from deploy.local.gpus import gpus
from deploy.local.keeper import Server
from deploy.local.process import Process
from deploy.local.redis import LOOPBACK, free_port
from deploy.local.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".local"


class Stack(Supervisor):
    """The running service. Processes are started, stopped, killed and restarted by their name in `COMMANDS`; of several
    of one kind, those after the first have a number behind it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        servers: Databases,
        environment: Mapping[str, str],
        gpus: Sequence[str] = (),
    ) -> None:
        """`gpus` have an inference process each; without any there is one."""
        super().__init__()
        self.folder = folder
        self.base_url = f"http://{LOOPBACK}:{port}"
        self.environment = {**environment, "SITE_URL": self.base_url}
        self._databases = servers
        process_environment = self.environment | {"GUNICORN_CMD_ARGS": f"--bind {LOOPBACK}:{port}"}
        batch = process_environment.get("INFERENCE_BATCH", "0")  # 0: what a GPU takes is found by trial
        several = {"worker-inference": [{"CUDA_VISIBLE_DEVICES": gpu, "INFERENCE_BATCH": batch} for gpu in gpus]}
        self.by_kind: dict[str, list[str]] = {kind: [] for kind in COMMANDS}
        for kind, command in COMMANDS.items():
            for number, own in enumerate(several.get(kind) or [{}]):
                name = f"{kind}-{number}" if number else kind
                self.by_kind[kind].append(name)
                argv = shlex.split(command.line.format(schedule=folder / "schedule").replace(f"{kind}@", f"{name}@"))
                log = folder / "logs" / f"{name}.log"
                log.unlink(missing_ok=True)  # a log tells of one run
                env = {**process_environment, **own}
                argv = [sys.executable, "-m", *argv]
                process = Process(name, argv, log=log, env=env, cwd=ROOT, niceness=command.niceness)
                self.add(process, ready=partial(_wrote, command.ready) if command.ready else self._answers)

    def answers(self) -> bool:
        """Whether the web process answers."""
        try:
            return httpx.get(f"{self.base_url}/healthz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _answers(self, _: Process) -> bool:
        return self.answers()

    def manage(self, *arguments: str) -> str:
        """Run a management command against this stack, and give what it prints. Raises RuntimeError if it fails."""
        return self._python("manage.py", *arguments)

    def prepare(self) -> None:
        """Bring the database, the model and the static files up to date."""
        self._python("-m", "deploy.local.prepare")

    def restart_postgres(self) -> None:
        """Restart the embedded Postgres under the running service."""
        if self._databases.postgres is None:
            raise RuntimeError("this Postgres is not ours to restart: DATABASE_URL names it")
        self._databases.postgres.restart()

    def flush_redis(self) -> None:
        """Empty the embedded Redis: every wake-up in it is lost."""
        if self._databases.redis is None:
            raise RuntimeError("this Redis is not ours to flush: REDIS_URL names it")
        self._databases.redis.flush()

    def servers(self) -> Mapping[str, Server]:
        """The processes and the embedded servers, by name."""
        return {**self._databases.embedded, **super().servers()}

    def _python(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"`{' '.join(arguments)}` failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def _wrote(text: str, process: Process) -> bool:
    """Whether the process has written this since it was last started."""
    return text in process.output()


@contextmanager
def running_stack(
    folder: Path = STATE,
    *,
    port: int | None = None,
    isolated: bool = False,
    durable: bool | None = None,
    environment: Mapping[str, str] | None = None,
    services: Sequence[str] = tuple(COMMANDS),
) -> Iterator[Stack]:
    """LesionLens running with its state in `folder`, migrated and ready; all of it is stopped at the end.

    port: where the site listens on loopback; None takes a free one.
    isolated: for tests. Own servers and folders whatever the environment says, and one process of each kind.
    durable: whether what Postgres has committed survives a power cut; None: unless `isolated`, for tests are quicker.
    environment: settings to add.
    services: the kinds of processes to start at once; the others can be started later by name.
    """
    if port is not None:
        _require_free(port)
    with ExitStack() as stack:
        stack.enter_context(claimed(folder))
        lasting = not isolated if durable is None else durable
        servers = stack.enter_context(databases(folder, isolated=isolated, durable=lasting))
        settings = {**settings_for(folder, isolated=isolated), **servers.environment, **(environment or {})}
        service = Stack(
            folder,
            port=port or free_port(),
            servers=servers,
            environment={**os.environ, **settings},
            gpus=[] if isolated else gpus(),
        )
        service.prepare()
        stack.enter_context(service)
        service.start(*(name for kind in services for name in service.by_kind[kind]))
        yield service


def settings_for(folder: Path, *, isolated: bool = False) -> dict[str, str]:
    """The settings of a service on one machine that keeps what it writes in `folder`.

    A setting that the environment already has is left out, unless `isolated`.
    """
    settings = {
        "LOCAL": "1",
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "PYTHONUNBUFFERED": "1",
        "STORAGE_FOLDER": str(folder / "storage"),
        "BUNDLE_FOLDER": str(folder / "bundles"),
        "MAILBOX_FOLDER": str(folder / "mailbox"),
        "STATIC_ROOT": str(STATE / "static"),  # the same for all: collecting takes seconds
    }
    return {name: value for name, value in settings.items() if isolated or name not in os.environ}


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder for this process: two services on one data folder would spoil it. Raises RuntimeError if held."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RuntimeError(
                f"LesionLens is running already from {folder} (process {lock.read().strip()}). Stop it first."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _require_free(port: int) -> None:
    """Raise RuntimeError if something listens on the port already."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            raise RuntimeError(
                f"Port {port} of {LOOPBACK} cannot be used ({error}). Choose another: PORT=8001"
            ) from error
