"""Half an hour of mixed traffic by locust, and what it does to the service: `python -m tests.bench.soak`.

`tests.bench.traffic` says who comes and what they do. Locust lives in an environment of its own: it brings libraries
that change how the site's static files are made. Memory is flat where each process grows by less than 5 % or by
less than 10 MB from the second sixth of the time (when it is warm) to the last.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from deploy.local.commands import COMMANDS
from deploy.local.process import ProcessDied
from tests.bench.environments import python_with
from tests.bench.figures import Figure
from tests.bench.memory import Course, children, family, megabytes
from tests.bench.report import alone
from tests.bench.service import Service, photos, running_service

SECONDS: Final = 1800
SAMPLES: Final = 180
PACE: Final = {"surgery": 4, "backlog": 30, "patient": 100}
"""Seconds from one batch or photo to the next, of each who sends them: five or six images a second in all."""

PEOPLE: Final = {"patient": 12, "annotator": 3, "provider": 3, "operator": 1}
TRAFFIC: Final = Path(__file__).with_name("traffic.py")
REQUIREMENTS: Final = Path(__file__).with_name("locust.txt")
POSTGRES: Final = "postgres"
SERVERS: Final = (POSTGRES, "redis-server")
CONNECTED: Final = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
ERROR: Final = '"level": "error"'
QUEUES: Final = {
    "photo that waits for its check": "SELECT min(stored_at) FROM cases_image WHERE state = 'stored'",
    "image that waits for the model": "SELECT min(created_at) FROM inference_job WHERE state = 'queued'",
}
CAST = """
import json
from datetime import date
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from webapp.accounts.models import Membership, Organisation
from webapp.accounts.consent import join_as_patient
from webapp.accounts.services import account_for, create_api_key
from webapp.audit.services import SYSTEM
clinic = Organisation.objects.create(name="Soak", slug="soak", release_policy="automatic")
other = Organisation.objects.create(name="Other", slug="other")
cast = {{"keys": [create_api_key(actor=SYSTEM, organisation=o, name="soak")[1] for o in (clinic, other)]}}
cast["people"] = {{}}
for role, number in {people!r}.items():
    for index in range(number):
        user = account_for(email=f"{{role}}{{index}}@soak.example")
        person = {{}}
        if role == "patient":
            born = date(1980, 1, 1)
            patient = join_as_patient(user=user, organisation=clinic, date_of_birth=born, training_consent=True)
            person["patient"] = str(patient.pk)
        else:
            Membership.objects.create(user=user, organisation=clinic, role=role)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        cast["people"].setdefault(role, []).append({{**person, "session": session.session_key}})
print(json.dumps(cast))
"""


@dataclass
class Watched:
    """What was seen of the service while the traffic ran."""

    memory: dict[str, Course] = field(default_factory=dict)
    ages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in QUEUES})
    connections: list[int] = field(default_factory=list)
    busy: float = 0.0
    died: str = ""


def measure(scale: float) -> Sequence[Figure]:
    """Errors, memory and the age of the oldest in each queue. `scale` is that of the time, of a minute at least."""
    seconds = max(60, round(scale * SECONDS))
    # Labels come in, and a retraining would take a core for minutes: another bench's business.
    with running_service(environment={"RETRAIN_AFTER_LABELS": "1000000"}) as service:
        service.start_inference()
        with tempfile.TemporaryDirectory(prefix="lesionlens-soak-") as folder:
            command, environment = _traffic(service, Path(folder), seconds)
            started = service.query("SELECT now()")[0][0]
            with subprocess.Popen(command, env={**os.environ, **environment}) as locust:
                watched = _watch(service, locust, seconds)
            requests = list(csv.DictReader((Path(folder) / "soak_stats.csv").open()))
            failures = list(csv.DictReader((Path(folder) / "soak_failures.csv").open()))
        left = 0 if watched.died else _left_over(service)
        return [
            *_errors(service, watched, requests, failures, left),
            *_work(service, watched, requests, started, seconds),
            *_memory(watched),
        ]


def _traffic(service: Service, folder: Path, seconds: int) -> tuple[list[str], Mapping[str, str]]:
    """The command of locust and its environment, with everybody who will come."""
    cast = json.loads(service.stack.manage("shell", "--no-imports", "--command", CAST.format(people=PEOPLE)))
    pictures = folder / "photos"
    pictures.mkdir()
    for number, photo in enumerate(photos(400)):
        (pictures / f"{number:04}.jpg").write_bytes(photo.data)
    (folder / "cast.json").write_text(json.dumps({**cast, "photos": str(pictures), "pace": PACE}))
    users = 3 + sum(PEOPLE.values())
    command = [
        str(python_with(REQUIREMENTS)),
        "-m",
        "locust",
        "--locustfile",
        str(TRAFFIC),
        "--headless",
        "--only-summary",
    ]
    command += ["--host", service.stack.base_url, "--users", str(users), "--spawn-rate", "2"]
    command += ["--run-time", f"{seconds}s", "--stop-timeout", "120", "--exit-code-on-error", "0"]
    command += ["--csv", str(folder / "soak")]
    return command, {"TRAFFIC": str(folder / "cast.json")}


def _watch(service: Service, locust: "subprocess.Popen[bytes]", seconds: int) -> Watched:
    """Look every few seconds while the traffic runs. A process of the service that ends, ends it."""
    watched = Watched()
    started, before = time.monotonic(), _busy_and_all()
    while locust.poll() is None and (at := time.monotonic() - started) < seconds:
        for name, pid in _processes(service):
            # Postgres has a process for each connection: how many there are tells of the traffic, not of a leak.
            what, members = (f"{name}, each process", len(family(pid))) if name == POSTGRES else (name, 1)
            watched.memory.setdefault(what, Course()).note(at, megabytes(pid) / members)
        watched.connections.append(service.query(CONNECTED)[0][0])
        for name, query in QUEUES.items():
            [(age,)] = service.query(f"SELECT coalesce(extract(epoch FROM now() - ({query})), 0)")  # noqa: S608
            watched.ages[name].append(float(age))
        try:
            service.stack.check()
        except ProcessDied as death:
            watched.died = str(death)
            locust.terminate()
            break
        time.sleep(seconds / SAMPLES)
    busy, total = (now - then for now, then in zip(_busy_and_all(), before, strict=True))
    watched.busy = busy / total
    locust.wait()
    return watched


def _processes(service: Service) -> Iterator[tuple[str, int]]:
    """The service's own processes and its servers, by name."""
    for name in COMMANDS:
        yield name, service.stack.process(name).pid
    for pid in children(os.getpid()):
        if (name := Path(f"/proc/{pid}/comm").read_text().strip()) in SERVERS:
            yield name, pid


def _busy_and_all() -> tuple[int, int]:
    """The ticks that this machine's cores have worked, and all ticks, since it started."""
    user, nice, system, idle, waiting, *others = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    busy = user + nice + system + sum(others)
    return busy, busy + idle + waiting


def _left_over(service: Service) -> int:
    """How many images have not ended a minute after the traffic."""
    unended = (
        "SELECT (SELECT count(*) FROM cases_image WHERE state = 'stored')"
        " + (SELECT count(*) FROM inference_job WHERE state IN ('queued', 'running'))"
    )
    deadline = time.monotonic() + 60
    while (left := int(service.query(unended)[0][0])) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def _errors(
    service: Service,
    watched: Watched,
    requests: Sequence[Mapping[str, str]],
    failures: Sequence[Mapping[str, str]],
    left: int,
) -> Iterator[Figure]:
    everything = requests[-1]
    failed = int(everything["Failure Count"])
    told = "; ".join(f"{row['Occurrences']} × {row['Name']}: {row['Error'][:120]}" for row in failures[:5])
    yield Figure("requests that failed", failed, target="0", met=failed == 0, note=told)
    yield Figure("requests", int(everything["Request Count"]), note=f"{float(everything['Requests/s']):.1f} a second")
    yield Figure("processes that ended", int(bool(watched.died)), target="0", met=not watched.died, note=watched.died)
    logged = [
        line
        for name in COMMANDS
        for line in service.stack.process(name).output().splitlines()
        if ERROR in line or line.startswith("Traceback")
    ]
    note = logged[0][:200] if logged else ""
    yield Figure("errors in the logs of the service", len(logged), target="0", met=not logged, note=note)
    [(broken,)] = service.query(
        "SELECT count(*) FROM inference_job WHERE state = 'failed' AND reason <> 'not_a_lesion'"
    )
    yield Figure("images that the service could not answer", broken, target="0", met=broken == 0)
    yield Figure("images that had not ended a minute later", left, target="0", met=left == 0)


def _work(
    service: Service, watched: Watched, requests: Sequence[Mapping[str, str]], started: Any, seconds: int
) -> Iterator[Figure]:
    [(answered,)] = service.query("SELECT count(*) FROM inference_result WHERE created_at >= %s", started)
    yield Figure("images answered", answered, note=f"{answered / seconds:.1f} a second")
    [(labelled,)] = service.query("SELECT count(*) FROM labels_label")
    yield Figure("images labelled", labelled)
    yield Figure("the cores' time that was used", 100 * watched.busy, "%", note="of all, by everything that ran")
    for name, ages in watched.ages.items():
        note = f"median {np.median(ages):.1f} s, 95 % {np.percentile(ages, 95):.1f} s"
        yield Figure(f"age of the oldest {name}, at most", max(ages), "s", note=note)
    note = f"median {np.median(watched.connections):.0f}"
    yield Figure("connections to Postgres, at most", max(watched.connections), note=note)
    for row in requests:
        if row["Type"] == "WAIT":
            yield Figure(f"{row['Name']}: 95 %", int(row["95%"]) / 1000, "s", note=f"median {row['50%']} ms")
    yield Figure("all requests: 95 %", int(requests[-1]["95%"]), "ms", note=f"median {requests[-1]['50%']} ms")


def _memory(watched: Watched) -> Iterator[Figure]:
    for name, course in watched.memory.items():
        grown = course.end - course.start
        note = f"from {course.start:.0f} to {course.end:.0f} MB; {course.slope:+.1f} MB an hour"
        yield Figure(f"growth of {name}", grown, "MB", "< 10 MB or < 5 %", course.flat, note)


if __name__ == "__main__":
    sys.exit(alone("soak", measure))
