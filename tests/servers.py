"""The real servers that the tests talk to: a pytest plugin, loaded by name in pyproject.toml.

Postgres and Redis start before Django reads its settings, unless DATABASE_URL and REDIS_URL name others. A test asks
for the S3 server with the fixture `s3_server` and for a browser with `browser`. What is missing on this machine is said
at the end of the run; with CI=true it fails the tests that need it.
"""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.local.postgres import DATABASE, embedded_postgres
from deploy.local.redis import embedded_redis
from tests.ceph import S3Server, ceph_s3, missing_programs
from tests.migrated import copy_migrated

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-gpu",
]
MISSING = "MISSING: "
UP_TO_DATE = "UP_TO_DATE_DATABASE"  # names the one to copy, where the server is our own
HEAVY = "servers"  # one xdist group: what needs a large server runs in one worker, which starts it once

_running = ExitStack()
atexit.register(_running.close)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Put the settings of this run in the environment, before pytest-django loads them."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        _use_redis_database(1 + int(worker.removeprefix("gw")))
    elif not (early_config.known_args_namespace.help or early_config.known_args_namespace.version):
        _start_servers()
    return (yield)


def _start_servers() -> None:
    """Start what the environment does not name already. The xdist workers inherit the environment."""
    folder = Path(tempfile.mkdtemp(prefix="lesionlens-tests-"))
    folder.chmod(0o755)  # Postgres may run as another user
    _running.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ.setdefault("LOCAL", "1")
    # Each core has a worker of its own: NumPy's or TensorFlow's threads that wait for one another would take it from
    # the next test.
    for threads in ("OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(threads, "1")
    os.environ.setdefault("TRAINING_NICENESS", "1")  # who waits for a training here is another test
    # One RUNTIME_CACHE for all: converting a network takes TensorFlow and seconds.
    for name in ("STORAGE_FOLDER", "BUNDLE_FOLDER", "MAILBOX_FOLDER", "STATIC_ROOT", "RUNTIME_CACHE"):
        os.environ.setdefault(name, str(folder / name.lower()))
    if not os.environ.get("DATABASE_URL"):
        data, log = copy_migrated(folder / "postgres"), folder / "postgres.log"
        server = _running.enter_context(embedded_postgres(data, log=log, durable=False))
        os.environ.update({"DATABASE_URL": server.url, UP_TO_DATE: DATABASE})
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _running.enter_context(embedded_redis(log=folder / "redis.log")).url


def _use_redis_database(number: int) -> None:
    """Give one xdist worker a Redis database of its own."""
    server, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{server}/{number}"


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """What tests import stays: looking for garbage in it meanwhile takes a quarter of the time, and more ever after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send the tests that need large servers to one worker, and start with them: they take longest."""
    for item in items:
        if "e2e" in item.path.parts or "s3_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(HEAVY))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested on this machine."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and MISSING in (reason := report.longrepr[2]):
            reasons[reason.partition(MISSING)[2]] = reasons.get(reason.partition(MISSING)[2], 0) + 1
    if reasons:
        terminalreporter.section("NOT TESTED ON THIS MACHINE", sep="!", red=True, bold=True)
        for reason, count in reasons.items():
            terminalreporter.line(f"{count} skipped: {reason}", red=True)
        terminalreporter.line("`make test` as root on Debian installs them.", red=True)


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """A temporary folder for servers: Postgres may run as another user, who cannot enter pytest's own `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running S3 server (Ceph's gateway), started once."""
    if programs := missing_programs():
        missing(f"an S3 server ({', '.join(programs)})")
    with ceph_s3() as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser. Open a page of your own in it with `browser.new_context()`, and close that."""
    if not Path(CHROMIUM).exists():
        missing(f"a browser ({CHROMIUM})")
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code calling its database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


def missing(what: str) -> NoReturn:
    """Skip a test for want of a program, loudly; or fail it where CI=true."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(MISSING + what)
    pytest.skip(MISSING + what)
