"""What Prometheus reads: the database's figures at the moment of asking, and this process's own counters."""

from collections.abc import Iterator
from datetime import timedelta
from math import inf

import structlog
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import REGISTRY, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from webapp.cases.models import Priority
from webapp.inference.selectors import workers_alive
from webapp.operations import selectors
from webapp.operations.readiness import works
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release

logger = structlog.get_logger(__name__)
STATEMENT_TIMEOUT = "1s"  # of each of eight; Prometheus waits for ten
NEVER = selectors.Swept(inf, inf)


class Figures(Collector):
    """The figures of the database. Gauges all: rows can be deleted, so nothing here only ever grows.

    While it is away, or too slow to wait for, only that is said: what this process knows of itself is read by alerts
    as before.
    """

    def collect(self) -> Iterator[Metric]:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [STATEMENT_TIMEOUT])
                figures = [*_waiting(), *_answered(), _failed(), *_models(active_release())]
        except DatabaseError as error:
            logger.warning("no_figures", error=type(error).__name__)
            figures = []
        yield GaugeMetricFamily(
            "lesionlens_database_up", "Whether Postgres gave the figures of the database", value=bool(figures)
        )
        yield from figures


class Broker(Collector):
    """Whether this process reaches Redis: no row can say so, since whatever writes one is woken by Redis."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("lesionlens_broker_up", "Whether Redis answers", value=works("broker"))


def _waiting() -> Iterator[Metric]:
    count = GaugeMetricFamily("lesionlens_rows", "Rows that wait or are worked on", labels=["kind", "state"])
    age = GaugeMetricFamily(
        "lesionlens_oldest_seconds", "Age of the oldest row in a state; 0 when there is none", labels=["kind", "state"]
    )
    for row in selectors.waiting():
        count.add_metric([row.kind, row.state], row.count)
        age.add_metric([row.kind, row.state], row.age)
    queued = GaugeMetricFamily("lesionlens_jobs_queued", "Queued jobs by priority", labels=["priority"])
    jobs = selectors.queued_by_priority()
    for priority in Priority:
        queued.add_metric([priority.name.lower()], jobs.get(priority, 0))
    last = selectors.swept() or NEVER
    swept = GaugeMetricFamily(
        "lesionlens_sweep_seconds", "Since the sweep last ran; infinite before the first", value=last.ran
    )
    reached = GaugeMetricFamily(
        "lesionlens_storage_seconds",
        "Since the sweep last reached storage; infinite before the first",
        value=last.storage,
    )
    yield from (count, age, queued, swept, reached)


def _answered() -> Iterator[Metric]:
    found = selectors.latency()
    throughput = GaugeMetricFamily(
        "lesionlens_answers_per_second", "Images answered each second over the last 5 minutes", value=found.per_second
    )
    latency = GaugeMetricFamily(
        "lesionlens_answer_seconds",
        "From queued to answered, of the images answered in the last 5 minutes",
        labels=["quantile"],
    )
    for quantile, seconds in (("0.5", found.median), ("0.95", found.p95), ("0.99", found.p99)):
        if seconds is not None:
            latency.add_metric([quantile], seconds)
    yield from (throughput, latency)


def _failed() -> Metric:
    since = timezone.now() - timedelta(hours=1)
    failed = GaugeMetricFamily(
        "lesionlens_failed_last_hour", "Rows that failed within the last hour", labels=["kind", "reason"]
    )
    for row in selectors.failed_jobs(since=since):
        failed.add_metric(["job", row.reason], row.count)
    # What a mail server says is free text: its reasons are for people, not for labels.
    failed.add_metric(["message", ""], sum(row.count for row in selectors.failed_messages(since=since)))
    return failed


def _models(release: ModelRelease | None) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "lesionlens_active_release_info", "The release that answers new images", labels=["release", "bundle", "code"]
    )
    usable = GaugeMetricFamily(
        "lesionlens_active_release_usable",
        "Whether this version of the software can answer with it",
        labels=["release"],
    )
    if release is not None:
        active.add_metric([release.name, release.bundle_sha256, release.code_version], 1)
        usable.add_metric([release.name], not release.unusable)
    workers = GaugeMetricFamily(
        "lesionlens_workers", "Inference workers heard of in the last 2 minutes, by release", labels=["release"]
    )
    releases = [worker.release.name for worker in workers_alive()]
    for name in sorted({*releases, *([release.name] if release else [])}):
        workers.add_metric([name], releases.count(name))
    yield from (active, usable, workers)


def exposition() -> bytes:
    """Every metric in Prometheus's text format."""
    figures = CollectorRegistry()
    figures.register(Figures())
    figures.register(Broker())
    return generate_latest(figures) + generate_latest(REGISTRY)
