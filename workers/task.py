"""The one way to declare a task: time limits on every one, and no trust in redelivery.

Celery enforces the limits in the worker of processes. In the workers of one thread, inference and training, leases and
the trainer's own limit do what they would.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any

import structlog
from celery.app.task import Task as CeleryTask
from celery.signals import worker_shutting_down
from django.db import close_old_connections, connection

from webapp.queue import Task, answered, app

logger = structlog.get_logger(__name__)
RUN_SECONDS = 5  # of a task that finds ever more to do: then another wake-up goes on, so that others get their turn
# Postgres lets the lock go when its process dies, and finds within minutes, not hours, that its machine has vanished.
TRY_LOCK = """
SELECT pg_try_advisory_lock(hashtext(%s)),
    set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false)
"""


class Stopping:
    """Whether this worker is asked to end, which nobody tells the processes that it forked: they share its memory."""

    def __init__(self) -> None:
        self._said = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._said[0] = True

    def clear(self) -> None:
        self._said[0] = False

    def is_set(self) -> bool:
        return bool(self._said[0])


stopping = Stopping()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    stopping.set()


def task(
    name: Task, *, soft_limit: int, hard_limit: int, alone: bool = False
) -> Callable[[Callable[[], None]], CeleryTask]:
    """Register the function as the task `name`, with limits in seconds.

    One that runs `alone` runs in one process at a time, of all machines: where a server that it asks hangs, it takes no
    other. It forgets a wake-up while it runs.

    A task takes no arguments: it claims its rows. One that raises is logged and forgotten, because the rows that it
    had leased come back by themselves and the scheduler rings again.
    """

    def declare(function: Callable[[], None]) -> CeleryTask:
        @wraps(function)
        def run(*_: Any) -> None:
            close_old_connections()  # the database may have restarted since the last wake-up
            answered(name)
            try:
                with _lock(name) if alone else nullcontext(True) as free:
                    if free:
                        function()
            except Exception:
                logger.exception("task_failed", task=str(name))
            finally:
                close_old_connections()

        declared: CeleryTask = app.task(name=str(name), soft_time_limit=soft_limit, time_limit=hard_limit)(run)
        return declared

    return declare


@contextmanager
def _lock(name: Task) -> Iterator[bool]:
    """Whether nobody else runs the task now; nobody does, until the block ends."""
    with connection.cursor() as cursor:
        cursor.execute(TRY_LOCK, [name])
        [(free, *_)] = cursor.fetchall()
    try:
        yield free
    finally:
        if free:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])
