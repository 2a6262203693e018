"""The state of the service in numbers: what waits and for how long, what was answered, who is at work.

Every query reads a partial index or a small table, so that asking every few seconds costs milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from webapp.accounts.models import Membership
from webapp.notify.delivery import UNREACHABLE

WINDOW = timedelta(minutes=5)

# A letter that is held back for later waits for nobody until then; one that was refused waits since it was written.
# A webhook that failed waits on purpose, and so does one whose endpoint rests: the age counts from when both are over.
# So does a ZIP that is kept while a quota is full; of those that are stored, only such a one has a report.
#
# Ids grow with time, so the smallest queued id is the oldest job and comes out of the index `job_queued` alone; the
# `+ 0` keeps Postgres from walking the primary key in search of it.
#
# A letter is stranded while the mail server could not be reached when it was last tried.
#
# A running job is lost once its lease is over: its worker died, and the sweep has yet to give it to another.
WAITING = f"""
SELECT 'image', 'awaiting_upload', count(*), min(created_at) FROM cases_image WHERE state = 'awaiting_upload'
UNION ALL SELECT 'image', 'stored', count(*), min(stored_at) FROM cases_image WHERE state = 'stored'
UNION ALL SELECT 'archive', 'stored', count(*), min(stored_at) FILTER (WHERE report = '[]')
    FROM cases_archive WHERE state = 'stored'
UNION ALL SELECT 'job', 'queued', queued.jobs, (SELECT created_at FROM inference_job WHERE id = queued.oldest)
    FROM (SELECT count(*) AS jobs, min(id + 0) AS oldest FROM inference_job WHERE state = 'queued') queued
UNION ALL SELECT 'job', 'running', count(*), min(created_at) FROM inference_job WHERE state = 'running'
UNION ALL SELECT 'lost_job', 'running', count(*), min(lease_until)
    FROM inference_job WHERE state = 'running' AND lease_until < now()
UNION ALL SELECT 'message', 'pending', count(*), min(CASE WHEN attempt = 0 THEN send_after ELSE created_at END)
    FROM notify_message WHERE state = 'pending' AND (attempt > 0 OR send_after <= now())
UNION ALL SELECT 'message', 'sending', count(*), min(created_at) FROM notify_message WHERE state = 'sending'
UNION ALL SELECT 'stranded_message', 'pending', count(*), min(created_at)
    FROM notify_message WHERE state = 'pending' AND starts_with(error, '{UNREACHABLE}')
UNION ALL SELECT 'webhook', 'pending', count(*), min(due) FILTER (WHERE due <= now())
    FROM (SELECT greatest(delivery.send_after, endpoint.quiet_until) AS due FROM webhooks_delivery delivery
        JOIN webhooks_endpoint endpoint ON endpoint.id = delivery.endpoint_id WHERE delivery.state = 'pending') waiting
UNION ALL SELECT 'webhook', 'sending', count(*), min(send_after) FROM webhooks_delivery WHERE state = 'sending'
UNION ALL SELECT 'training_run', 'queued', count(*), min(created_at) FROM registry_trainingrun WHERE state = 'queued'
UNION ALL SELECT 'training_run', 'running', count(*), min(created_at) FROM registry_trainingrun WHERE state = 'running'
"""  # noqa: S608 - ours
SWEPT = """
SELECT extract(epoch FROM statement_timestamp() - ran_at), extract(epoch FROM statement_timestamp() - storage_at)
FROM operations_sweep
"""
PRIORITIES = "SELECT priority, count(*) FROM inference_job WHERE state = 'queued' GROUP BY priority"
LATENCY = """
SELECT count(*), percentile_cont(ARRAY[0.5, 0.95, 0.99])
    WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at))
FROM inference_job WHERE state = 'succeeded' AND finished_at > %s
"""
MINUTES = """
SELECT floor(extract(epoch FROM finished_at - %s) / 60)::int AS minute, count(*)
FROM inference_job WHERE state = 'succeeded' AND finished_at >= %s GROUP BY 1
"""
FAILED_JOBS = """
SELECT reason, count(*), max(finished_at) FROM inference_job
WHERE state = 'failed' AND finished_at > %s GROUP BY reason ORDER BY count(*) DESC, reason
"""
# A message has no time of its failure. It was last due shortly before, and may have been written hours or days earlier.
FAILED_MESSAGES = """
SELECT error, count(*), max(send_after) FROM notify_message
WHERE state = 'failed' AND send_after > %s GROUP BY error ORDER BY count(*) DESC, error
"""
# Of each endpoint that is not given up: what its newest delivery that failed was answered, without any name after that.
FAILING_WEBHOOKS = """
SELECT newest.error, count(*), max(endpoint.tried_at) FROM webhooks_endpoint endpoint CROSS JOIN LATERAL (
    SELECT split_part(error, ':', 1) AS error FROM webhooks_delivery WHERE endpoint_id = endpoint.id AND error <> ''
    ORDER BY created_at DESC, id DESC LIMIT 1
) newest
WHERE endpoint.state = 'enabled' AND endpoint.failures > 0 GROUP BY newest.error ORDER BY count(*) DESC, newest.error
"""


@dataclass(frozen=True)
class Waiting:
    """The rows of one kind that are in one state."""

    kind: str
    state: str
    count: int
    oldest: datetime | None

    @property
    def words(self) -> str:
        """The kind, for people."""
        return f"{self.kind}s".replace("_", " ").capitalize()

    @property
    def age(self) -> float:
        """Seconds since the oldest of them came; 0 when there is none."""
        return (timezone.now() - self.oldest).total_seconds() if self.oldest else 0.0


@dataclass(frozen=True)
class Swept:
    """Seconds since the sweep last ran and since it last reached storage, by the database's clock."""

    ran: float
    storage: float


@dataclass(frozen=True)
class Latency:
    """Seconds from queued to answered, of the images answered in the last five minutes; None when there are none."""

    count: int
    median: float | None
    p95: float | None
    p99: float | None

    @property
    def per_second(self) -> float:
        """Images answered each second in that time."""
        return self.count / WINDOW.total_seconds()


@dataclass(frozen=True)
class Failures:
    """How often something failed for one reason, and when last."""

    reason: str
    count: int
    last_at: datetime


def waiting() -> list[Waiting]:
    """What waits or runs, by kind and state."""
    return [Waiting(*row) for row in _rows(WAITING)]


def swept() -> Swept | None:
    """The last sweep; None before the first."""
    return next((Swept(float(ran), float(storage)) for ran, storage in _rows(SWEPT)), None)


def since_sweep() -> float | None:
    """Seconds since the sweep last ran, by the database's clock; None before the first."""
    last = swept()
    return None if last is None else last.ran


def queued_by_priority() -> dict[int, int]:
    """Queued jobs by priority."""
    return dict(_rows(PRIORITIES))


def latency() -> Latency:
    """From queued to answered, over the last five minutes."""
    [(count, percentiles)] = _rows(LATENCY, [timezone.now() - WINDOW])
    return Latency(count, *(percentiles or (None, None, None)))


def answered_by_minute() -> list[int]:
    """Images answered in each of the last sixty minutes of the clock, oldest first; the last is not over yet.

    Minutes that slid with the time of asking would give one peak another height each time.
    """
    first = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=59)
    counts = dict(_rows(MINUTES, [first, first]))
    return [counts.get(minute, 0) for minute in range(60)]


def failed_jobs(*, since: datetime) -> list[Failures]:
    """Why jobs failed, most frequent first."""
    return [Failures(*row) for row in _rows(FAILED_JOBS, [since])]


def failed_messages(*, since: datetime) -> list[Failures]:
    """Why messages could not be sent, most frequent first."""
    return [Failures(*row) for row in _rows(FAILED_MESSAGES, [since])]


def failing_webhooks() -> list[Failures]:
    """What endpoints answer that take nothing now, most frequent first."""
    return [Failures(*row) for row in _rows(FAILING_WEBHOOKS)]


def _rows(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def lacks_operator() -> bool:
    """Whether nobody may promote a model: it is a role that an administrator gives."""
    return not Membership.objects.filter(role=Membership.Role.OPERATOR, user__is_active=True).exists()
