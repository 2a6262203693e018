"""Who uses the service in the soak test, as locust plays them: clinics' software, patients, annotators, providers and
an operator. `tests.bench.soak` starts locust with this file; the file named by TRAFFIC says who they are.

Every connection is closed after its answer: a client that keeps one may find that the server has just closed it.
"""

import json
import os
import random
import re
import secrets
import time
import uuid
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from locust import HttpUser, between, constant_pacing, task

CAST = json.loads(Path(os.environ["TRAFFIC"]).read_text())
PHOTOS = sorted(Path(CAST["photos"]).glob("*.jpg"))
PATIENCE = 300  # seconds for a result, then it counts as an error
CLOSE = {"Connection": "close"}


class Visitor(HttpUser):
    """What all have in common."""

    abstract = True

    def wait_until(self, what: str, done: Callable[[], bool], *, every: float) -> None:
        """Ask again and again. An answer that does not come counts as an error, one that comes as a request."""
        started = time.monotonic()
        late = None
        while not done():
            if time.monotonic() - started > PATIENCE:
                late = TimeoutError(f"{what}: not within {PATIENCE} s")
                break
            time.sleep(every)
        self.environment.events.request.fire(
            request_type="WAIT",
            name=what,
            response_time=(time.monotonic() - started) * 1000,
            response_length=0,
            exception=late,
            context={},
        )


class Software(Visitor):
    """A clinic's software: makes a batch, uploads, submits, polls, collects."""

    abstract = True
    keys: ClassVar = iter(CAST["keys"] * 2)
    sizes: ClassVar[range]

    def on_start(self) -> None:
        self.client.headers.update({**CLOSE, "Authorization": f"Bearer {next(self.keys)}"})

    @task
    def batch(self) -> None:
        """One batch, from its manifest to its table."""
        photos = random.sample(PHOTOS, random.choice(self.sizes))  # an image twice in a batch is refused
        cases = [
            {"case_id": f"C-{number}", "patient_id": f"P-{uuid.uuid4()}", "images": [f"{number}.jpg"]}
            for number in range(len(photos))
        ]
        made = self.client.post(
            "/api/v1/batches", json={"name": "Soak", "cases": cases}, headers={"Idempotency-Key": str(uuid.uuid4())}
        )
        if not made.ok:
            return
        batch = made.json()
        address = f"/api/v1/batches/{batch['id']}"
        for image, photo in zip(batch["images"], photos, strict=True):
            self.client.put(image["upload"]["url"], data=photo.read_bytes(), name="/uploads/…")
            self.client.post(f"/api/v1/images/{image['id']}/complete", json={}, name="/api/v1/images/…/complete")
        self.client.post(f"{address}/submit", json={}, name="/api/v1/batches/…/submit")

        def ended() -> bool:
            found: dict[str, Any] = self.client.get(address, name="/api/v1/batches/…").json()
            return found.get("state") not in ("open", "submitted")

        self.wait_until(f"a result for each of {self.sizes[0]} to {self.sizes[-1]} images", ended, every=1)
        self.client.get(f"{address}/results.csv", name="/api/v1/batches/…/results.csv")
        self.client.get("/api/v1/cases", params={"batch": batch["id"]}, name="/api/v1/cases?batch=…")


class Surgery(Software):
    """A clinic that sends what it has seen in the last minutes."""

    fixed_count = 2
    sizes: ClassVar = range(1, 9)
    wait_time = constant_pacing(CAST["pace"]["surgery"])


class Backlog(Software):
    """A clinic that sends many at once."""

    fixed_count = 1
    sizes: ClassVar = range(100, 101)
    wait_time = constant_pacing(CAST["pace"]["backlog"])


class Person(Visitor):
    """Somebody who is signed in."""

    abstract = True
    role: ClassVar[str]
    numbers: ClassVar[count]

    def on_start(self) -> None:
        self.me = CAST["people"][self.role][next(self.numbers)]
        token = secrets.token_hex(16)
        self.client.headers.update({**CLOSE, "X-CSRFToken": token})
        self.client.cookies.update({"sessionid": self.me["session"], "csrftoken": token})

    def page(self, address: str, name: str = "") -> str:
        """The text of a page."""
        return str(self.client.get(address, name=name or address).text)


class Patient(Person):
    """Sends one photo, waits for its result and reads it."""

    role = "patient"
    numbers: ClassVar = count()
    fixed_count = len(CAST["people"]["patient"])
    wait_time = constant_pacing(CAST["pace"]["patient"])

    def on_start(self) -> None:
        super().on_start()
        time.sleep(random.uniform(0, CAST["pace"]["patient"] / 2))

    @task
    def photo(self) -> None:
        """From the home page to the result."""
        self.page("/my/")
        self.page("/my/photo/")
        sent = self.client.post(
            "/my/photo/",
            data={"key": str(uuid.uuid4()), "clinic": self.me["patient"]},
            files={"photos": ("spot.jpg", random.choice(PHOTOS).read_bytes(), "image/jpeg")},
            headers={"Accept": "application/json"},
        )
        if not sent.ok:
            return
        case = sent.json()["next"]

        def changed() -> bool:
            look = self.client.get(case, params={"seen": "checking"}, name="/my/cases/…?seen=checking")
            return bool(look.status_code == 200)

        self.wait_until("a patient's result", changed, every=1)
        text = self.page(case, "/my/cases/…")
        for source in re.findall(r'src="(/my/cases/[^"]+)"', text):
            self.page(source, "/my/cases/…/photos/…")


class Annotator(Person):
    """Labels one image after the other."""

    role = "annotator"
    numbers: ClassVar = count()
    fixed_count = len(CAST["people"]["annotator"])
    wait_time = between(3, 6)

    @task(9)
    def label(self) -> None:
        """The next image, looked at and answered."""
        text = self.page("/labels/")
        if found := re.search(r'action="(/labels/images/[^"]+)"', text):
            for source in re.findall(r'src="(/images/[^"]+)"', text):
                self.page(source, "/images/…")
            answer = {"dx": random.choice(["NV", "NV", "MEL", "BKL"]), "confidence": 2, "note": ""}
            self.client.post(found[1], data=answer, name="/labels/images/…")

    @task(1)
    def look_back(self) -> None:
        """What I have said."""
        self.page("/labels/mine/")


class Provider(Person):
    """Looks at batches and cases."""

    role = "provider"
    numbers: ClassVar = count()
    fixed_count = len(CAST["people"]["provider"])
    wait_time = between(2, 5)

    @task
    def read(self) -> None:
        """The list, a batch of it, a case of that, and its pictures."""
        self.page("/")
        if not (batches := re.findall(r'href="(/batches/[0-9a-f-]{36}/)"', self.page("/batches/"))):
            return
        batch = random.choice(batches)
        text = self.page(batch, "/batches/…")
        self.page(f"{batch}progress/", "/batches/…/progress")
        if cases := re.findall(r'href="(/cases/[0-9a-f-]{36}/)"', text):
            case = self.page(random.choice(cases), "/cases/…")
            for source in set(re.findall(r'src="(/images/[^"]+)"', case)):
                self.page(source, "/images/…")


class Operator(Person):
    """Keeps an eye on it all, as do the probes."""

    role = "operator"
    numbers: ClassVar = count()
    fixed_count = len(CAST["people"]["operator"])
    wait_time = between(4, 6)

    @task
    def watch(self) -> None:
        """The operator's pages, the probe and the scrape."""
        for address in ("/operations/", "/models/", "/models/runs/", "/readyz", "/metrics"):
            self.page(address)
