"""The whole service on loopback for the benches: servers of its own, clinics with keys, photos of real size.

Postgres is durable, as in production (fsync, synchronous_commit and full_page_writes on), because speed is measured.
The photos are synthetic lesions of 600 × 450 pixels, as HAM10000 is published, drawn once and kept.
"""

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
from environ import Env

from deploy.local.clinic import Clinic, Photo
from deploy.local.commands import COMMANDS
from deploy.local.samples import read_own
from deploy.local.stack import STATE, Stack, running_stack
from ml.runtime import Runtime
from ml.synthetic import METADATA, synthesize
from tests.e2e.clinics import new_clinic

PHOTOS = STATE / "bench-photos"
DRAWN_AT_ONCE = 100
INFERENCE = "worker-inference"

NEW_PATIENT = """
import json
from datetime import date
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from webapp.accounts.models import Organisation
from webapp.accounts.consent import join_as_patient
from webapp.accounts.services import account_for
user = account_for(email="patient@{name}.example")
organisation, _ = Organisation.objects.get_or_create(slug={name!r}, defaults={{"name": {name!r}}})
patient = join_as_patient(user=user, organisation=organisation, date_of_birth=date(1980, 1, 1))
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(json.dumps([session.session_key, str(patient.pk)]))
"""


@dataclass(frozen=True)
class Patient:
    """A patient who is signed in at the site. The site takes twenty photos of one patient in a day."""

    http: httpx.Client
    id: str

    def send(self, photo: Photo) -> str:
        """Send one photo with the page of the site; gives the id of its case."""
        form = {"key": str(uuid.uuid4()), "clinic": self.id}
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Accept": "application/json"}
        files = {"photos": (photo.filename, photo.data, "image/jpeg")}
        response = self.http.post("/my/photo/", data=form, files=files, headers=headers)
        response.raise_for_status()
        return str(response.json()["next"].rstrip("/").rsplit("/", 1)[1])


class Service:
    """A running service that a bench gives work to."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        address = Env.db_url_config(stack.environment["DATABASE_URL"])
        self._database = psycopg2.connect(host=address["HOST"], user=address["USER"], dbname=address["NAME"])
        self._database.autocommit = True

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query of the service's database."""
        with self._database.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def clinic(self, name: str) -> Clinic:
        """Software of a new organisation, with its key. `name` must be a slug."""
        return Clinic(self.stack.base_url, new_clinic(self.stack, name))

    def patient(self, name: str) -> Patient:
        """A patient of the organisation `name` (a slug; made where there is none), signed in."""
        session, patient = json.loads(self._python(NEW_PATIENT.format(name=name)))
        http = httpx.Client(base_url=self.stack.base_url, timeout=60, cookies={"sessionid": session})
        http.get("/my/photo/").raise_for_status()  # gives the CSRF cookie
        return Patient(http, patient)

    def hold_inference(self) -> None:
        """Stop the inference worker, so that jobs queue up."""
        self.stack.stop(INFERENCE)

    def start_inference(self, *, timeout: float = 120) -> None:
        """Start the inference worker if it does not run, and return as soon as its model is in memory."""
        if not self.stack.process(INFERENCE).running:
            self.query("DELETE FROM inference_worker RETURNING name")
            self.stack.start(INFERENCE)
        wait_for(lambda: bool(self.query("SELECT 1 FROM inference_worker")), timeout=timeout)

    def wait_for_intake(self, batch: str, *, timeout: float = 1800) -> None:
        """Return when no image of the batch is being checked any more: each is at the model, or refused."""
        unchecked = "SELECT 1 FROM cases_image WHERE batch_id = %s AND state IN ('awaiting_upload', 'stored') LIMIT 1"
        wait_for(lambda: not self.query(unchecked, batch), timeout=timeout)

    def wait_for_end(self, batch: str, *, timeout: float = 1800) -> None:
        """Return when the batch has ended."""
        wait_for(lambda: self.has_ended(batch), timeout=timeout)

    def has_ended(self, batch: str) -> bool:
        """Whether every image of the batch has ended."""
        return bool(self.query("SELECT 1 FROM cases_batch WHERE id = %s AND finished_at IS NOT NULL", batch))

    def stored(self, key: str) -> Path:
        """The file that the service keeps under a key of its storage."""
        return Path(self.stack.environment["STORAGE_FOLDER"]) / key

    def runtime(self) -> Runtime:
        """The active release's model, loaded in this process."""
        [(sha256,)] = self.query("SELECT bundle_sha256 FROM registry_modelrelease WHERE state = 'active'")
        return Runtime(self.stored(f"bundles/{sha256}"), cache=STATE / "runtime")

    def close(self) -> None:
        self._database.close()

    def _python(self, code: str) -> str:
        return self.stack.manage("shell", "--no-imports", "--command", code).strip()


@contextmanager
def running_service(
    *, services: Sequence[str] = tuple(COMMANDS), environment: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """The whole service in a folder of its own, stopped and removed at the end.

    services: the processes to start at once, of `deploy.local.commands.COMMANDS`. environment: settings to add.
    """
    with tempfile.TemporaryDirectory(prefix="lesionlens-bench-") as folder:
        state = Path(folder)
        state.chmod(0o755)  # the embedded Postgres runs as another user
        limits = {"API_RATE": "1000000/minute"}  # the clinic's software shares this machine's one address and key
        settings = {**limits, **(environment or {})}
        with running_stack(state, isolated=True, durable=True, environment=settings, services=services) as stack:
            service = Service(stack)
            try:
                yield service
            finally:
                service.close()


def photos(count: int, *, start: int = 0) -> list[Photo]:
    """`count` different synthetic photos as a clinic has them, from the `start`-th on; drawn once, in every core."""
    first, last = start // DRAWN_AT_ONCE, -(-(start + count) // DRAWN_AT_ONCE)
    missing = [part for part in range(first, last) if not (PHOTOS / f"{part:03}").exists()]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_draw, missing))
    found = [
        photo
        for part in range(first, last)
        for photo in sorted(
            read_own(PHOTOS / f"{part:03}", PHOTOS / f"{part:03}" / METADATA, DRAWN_AT_ONCE), key=lambda p: p.case_id
        )
    ]
    return found[start - first * DRAWN_AT_ONCE :][:count]


def wait_for(condition: Any, *, timeout: float, every: float = 0.05) -> None:
    """Ask until `condition()` is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s")
        time.sleep(every)


def _draw(part: int) -> None:
    PHOTOS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="drawing-", dir=PHOTOS))
    synthesize(DRAWN_AT_ONCE, folder, seed=part)
    try:
        folder.rename(PHOTOS / f"{part:03}")
    except OSError:  # another bench has drawn the same
        shutil.rmtree(folder)
