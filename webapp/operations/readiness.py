"""Whether the service can do its work now: each part that it needs is tried, quickly, and says why if it cannot."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import structlog
from botocore.exceptions import ClientError
from django.conf import settings
from django.db import connection, transaction
from redis import Redis

from webapp import storage
from webapp.inference.selectors import workers_alive
from webapp.operations import selectors
from webapp.registry.selectors import active_release
from webapp.s3 import named

logger = structlog.get_logger(__name__)
FRESH_SECONDS = 2.0  # so that probing often costs nothing
STATEMENT_TIMEOUT = "2s"
BROKER_SECONDS = 1.0
LATE_SECONDS = 120.0  # it is rung every few, and one that waits for storage ends within this


@dataclass(frozen=True)
class Check:
    """One part of the service: `why` says in a few words what is wrong with it, if anything."""

    name: str
    ok: bool
    why: str = ""


def _database() -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [STATEMENT_TIMEOUT])
        cursor.execute("SELECT 1")
    return ""


def _broker() -> str:
    url = settings.CACHES["default"]["LOCATION"]
    with Redis.from_url(url, socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS) as client:
        client.ping()
    return ""


def _storage() -> str:
    storage.check()
    return ""


def _model() -> str:
    if workers_alive():
        return ""
    release = active_release()
    if release is None:
        return "No release is active, so no image is answered. An operator promotes one on the page of models."
    if release.unusable:
        told = f"No image is answered: {release.name} is active, and {release.unusable}"
        return f"{told} Until then an operator can promote another on the page of models."
    return "No inference worker with a loaded model was heard of in the last 2 minutes."


def _sweep() -> str:
    seconds = selectors.since_sweep()
    if seconds is not None and seconds < LATE_SECONDS:
        return ""
    told = "has never run" if seconds is None else f"has not run for {int(seconds / 60)} minutes"
    return f"It {told}, so work that was lost on its way stays so. Look at the scheduler and at worker-cpu."


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("database", _database),
    ("broker", _broker),
    ("storage", _storage),
    ("model", _model),
    ("sweep", _sweep),
)

_lock = Lock()
_last: tuple[float, list[Check]] = (float("-inf"), [])


def readiness() -> list[Check]:
    """Every check, at most two seconds old."""
    global _last  # noqa: PLW0603  # one answer for the whole process
    with _lock:
        if time.monotonic() - _last[0] > FRESH_SECONDS:
            checks = [_try(name, check) for name, check in CHECKS]
            _last = (time.monotonic(), checks)
        return _last[1]


def works(name: str) -> bool:
    """Whether this one of CHECKS succeeds now."""
    return _try(name, dict(CHECKS)[name]).ok


def _try(name: str, check: Callable[[], str]) -> Check:
    try:
        why = check()
    except ClientError as error:
        code = named(error)
        logger.warning("not_ready", part=name, error=code)
        return Check(name, False, f"It answers, and refuses what it is asked ({code}). Look at the settings of S3.")
    except Exception as error:  # whatever it is, this part does not work
        logger.warning("not_ready", part=name, error=type(error).__name__)
        # The error's own words may hold addresses and user names.
        return Check(name, False, f"It does not answer ({type(error).__name__}).")
    return Check(name, not why, why)
