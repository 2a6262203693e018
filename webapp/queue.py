"""The Celery application, as the site knows it: names of tasks to wake, never their code."""

import ssl
import sys
from enum import StrEnum

import structlog
from celery import Celery
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)


class Task(StrEnum):
    """Every task that can be woken, and so every name that a worker must register."""

    INSPECT = "intake.inspect"
    EXPAND = "intake.expand"
    DRAIN = "inference.drain"
    DELIVER = "delivery.deliver"
    WEBHOOKS = "webhooks.send"
    TRAIN = "training.train"
    SWEEP = "upkeep.sweep"
    DELETE_OLD = "upkeep.delete_old"


QUEUES = {Task.DRAIN: "inference", Task.TRAIN: "training"}
DEFAULT_QUEUE = "default"
SWEEP_SECONDS = 5.0
DELETE_OLD_SECONDS = 600.0
PENDING_SECONDS = 30

app = Celery("lesionlens", broker=settings.REDIS_URL)
app.conf.update(
    # Where the address says nothing of certificates, Celery would believe any; Django's cache believes a true one.
    broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if settings.REDIS_URL.startswith("rediss:") else None,
    task_default_queue=DEFAULT_QUEUE,
    task_routes={str(task): {"queue": queue} for task, queue in QUEUES.items()},
    task_ignore_result=True,
    task_acks_late=False,  # a wake-up carries no work, so one that is lost costs only seconds
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "socket_keepalive": True},
    timezone="UTC",
    # Celery closes the database's connection after every task unless it is told a number of tasks. `workers.task` keeps
    # it as long as Django does between requests.
    CELERY_DB_REUSE_MAX=sys.maxsize,
    beat_schedule={
        "sweep": {"task": str(Task.SWEEP), "schedule": SWEEP_SECONDS, "options": {"expires": 30}},
        "delete_old": {"task": str(Task.DELETE_OLD), "schedule": DELETE_OLD_SECONDS, "options": {"expires": 600}},
    },
)


def ring(task: Task) -> None:
    """Wake a worker for `task` once the current transaction has committed."""
    transaction.on_commit(lambda: ring_now(task), robust=True)


def ring_now(task: Task, *, again: bool = False) -> None:
    """Wake a worker for `task` at once, unless a wake-up waits already. For callers that hold no transaction.

    `again` sends one in any case: the sweep's, since the one that waits may be lost. A broker that is away is logged
    and forgiven, because the sweep rings while there is work.
    """
    try:
        if cache.add(_pending(task), 1, timeout=PENDING_SECONDS) or again:
            app.send_task(str(task), retry=False, expires=PENDING_SECONDS)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("wake_up_not_sent", task=str(task), error=type(error).__name__)


def answered(task: Task) -> None:
    """A worker has woken for `task`: what is rung from now on is news."""
    try:
        cache.delete(_pending(task))
    except (RedisError, OSError) as error:
        logger.warning("wake_up_not_noted", task=str(task), error=type(error).__name__)


def _pending(task: Task) -> str:
    return f"wake-up:{task}"
