"""The one way to declare a task: time limits on every one, and no trust in redelivery.

Celery enforces the limits in the worker of processes. In the workers of one thread, inference and training, leases and
the trainer's own limit do what they would.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from celery.app.task import Task as CeleryTask
from django.db import close_old_connections

from webapp.queue import Task, answered, app

logger = structlog.get_logger(__name__)


def task(name: Task, *, soft_limit: int, hard_limit: int) -> Callable[[Callable[[], None]], CeleryTask]:
    """Register the function as the task `name`, with limits in seconds.

    A task takes no arguments: it claims its rows. One that raises is logged and forgotten, because the rows that it
    had leased come back by themselves and the scheduler rings again.
    """

    def declare(function: Callable[[], None]) -> CeleryTask:
        @wraps(function)
        def run(*_: Any) -> None:
            close_old_connections()  # the database may have restarted since the last wake-up
            answered(name)
            try:
                function()
            except Exception:
                logger.exception("task_failed", task=str(name))
            finally:
                close_old_connections()

        declared: CeleryTask = app.task(name=str(name), soft_time_limit=soft_limit, time_limit=hard_limit)(run)
        return declared

    return declare
