"""What one image costs, from the manifest to the collected result: `python -m tests.bench.footprint`.

A clinic sends one batch through the whole service, which then says what it took: processor time of every process,
space and log of Postgres, objects in storage, commands of Redis. All of it is divided by the number of images.
Processor time says how many cores a load needs even where the machine was busy with something else.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from deploy.local.commands import COMMANDS
from tests.bench.figures import Figure
from tests.bench.report import alone
from tests.bench.service import Service, photos, running_service

IMAGES = 2000
WARM_UP = 50
TICKS = os.sysconf("SC_CLK_TCK")
TABLES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
TRANSACTIONS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
LARGEST = 6  # tables that are named


def measure(scale: float) -> Sequence[Figure]:
    """Seconds, bytes and counts for one image."""
    count = max(1, round(scale * IMAGES))
    sent = photos(count + WARM_UP)
    with running_service() as service:
        clinic = service.clinic("footprint")
        for batch in (sent[:WARM_UP], sent[WARM_UP:]):
            before = spent(service)
            made = clinic.submit(batch, name="footprint")
            service.wait_for_end(made["id"])
            clinic.results_csv(made["id"])
            after = spent(service)
        clinic.close()
    each = {name: (after[name] - before.get(name, 0)) / count for name in after}
    return list(figures(each, sum(len(photo.data) for photo in sent[WARM_UP:]) / count))


def figures(each: Mapping[str, float], size: float) -> Iterator[Figure]:
    """The figures, in the order in which an image meets them."""
    yield Figure("a photo as it is sent", round(size / 1000, 1), "kB")
    for name in (*COMMANDS, "postgres", "redis"):
        if name != "worker-training":
            yield Figure(f"processor time of {name}", round(1000 * each[f"cpu {name}"], 2), "ms")
    yield Figure("objects kept under images/", round(each["bytes images"] / 1000, 1), "kB")
    tables = {name: value for name, value in each.items() if name.startswith("table ")}
    yield Figure("rows and indexes in Postgres", round(sum(tables.values()) / 1000, 2), "kB")
    for name, value in sorted(tables.items(), key=lambda item: -item[1])[:LARGEST]:
        yield Figure(f"of them in {name.removeprefix('table ')}", round(value / 1000, 2), "kB")
    yield Figure("write-ahead log of Postgres", round(each["log"] / 1000, 1), "kB")
    yield Figure("transactions of Postgres", round(each["transactions"], 1))
    yield Figure("commands of Redis", round(each["commands"], 1))


def spent(service: Service) -> dict[str, float]:
    """What has been used since the service started: seconds of processors, bytes, counts."""
    with redis(service) as server:
        info = server.info()
    pids = {name: service.stack.process(name).pid for name in service.stack.names}
    pids["postgres"] = int((service.stack.folder / "postgres" / "postmaster.pid").read_text().split()[0])
    pids["redis"] = info["process_id"]
    storage = Path(service.stack.environment["STORAGE_FOLDER"])
    [(transactions,)] = service.query(TRANSACTIONS)
    [(log,)] = service.query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
    return {
        **{f"cpu {name}": processor_seconds(pid) for name, pid in pids.items()},
        **{f"table {name}": float(size) for name, size in service.query(TABLES)},
        "bytes images": float(sum(file.stat().st_size for file in (storage / "images").rglob("*") if file.is_file())),
        "log": float(log),
        "transactions": float(transactions),
        "commands": float(info["total_commands_processed"]),
    }


@contextmanager
def redis(service: Service) -> Iterator[Redis]:
    """A connection to the service's Redis."""
    url = service.stack.environment["REDIS_URL"].replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
    with Redis.from_url(url) as server:
        yield server


def processor_seconds(pid: int) -> float:
    """What a process and all that it started have used, those that have ended included."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended, and its parent has its time
            continue
        own = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(own)
        ticks[own] = sum(map(int, fields[11:15]))
    waiting, total = [pid], 0
    while waiting:
        one = waiting.pop()
        total += ticks.get(one, 0)
        waiting += children.get(one, [])
    return total / TICKS


if __name__ == "__main__":
    sys.exit(alone("footprint", measure))
