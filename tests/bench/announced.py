"""Photos on LesionLens's own way in, over the API, as the client of `tests.bench.peers` sends them."""

import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final

import urllib3

from deploy.local.clinic import Photo
from deploy.local.commands import COMMANDS
from tests.bench.load import Course, course, offer, offer_and_strike, pool
from tests.bench.service import Service, wait_for

PATIENCE: Final = 300  # seconds for the last results
PER_BATCH: Final = 50
"""Images of one batch under full load; at given rates each photo is a batch of its own, as it comes."""

ENDED: Final = """
SELECT i.id::text, extract(epoch FROM coalesce(r.created_at, i.ended_at))::float
FROM cases_image i LEFT JOIN inference_result r ON r.image_id = i.id WHERE i.batch_id::text = ANY(%s)
AND (r.id IS NOT NULL OR i.state = 'rejected')
"""


class Batches:
    """Batches of `size` photos, each announced with its first photo, completed and submitted after its last."""

    def __init__(self, url: str, key: str, connections: urllib3.PoolManager, size: int, count: int) -> None:
        self._api = f"{url}/api/v1"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._pool = connections
        self._size = size
        self._count = count
        self._locks = [Lock() for _ in range(-(-count // size))]
        self._keys = [str(uuid.uuid4()) for _ in self._locks]
        self._made: dict[int, dict[str, Any]] = {}
        self._uploaded: list[set[int]] = [set() for _ in self._locks]
        self._submitted: set[int] = set()

    @property
    def ids(self) -> list[str]:
        """The batches that were announced."""
        return [made["id"] for made in self._made.values()]

    def image(self, number: int) -> str:
        """The id of a photo's image."""
        return str(self._made[number // self._size]["images"][number % self._size]["id"])

    def send(self, number: int, photo: Photo) -> None:
        """Everything that brings one photo in. Raises HTTPError; calling it again does what is left to do."""
        batch = number // self._size
        with self._locks[batch]:
            if batch not in self._made:
                self._made[batch] = self._announce(batch)
        made, uploaded = self._made[batch], self._uploaded[batch]
        if number not in uploaded:  # what is complete takes no second upload
            target = made["images"][number % self._size]["upload"]
            self._call("PUT", target["url"], photo.data, {"Content-Type": "image/jpeg"})
        with self._locks[batch]:
            uploaded.add(number)
            if len(uploaded) == len(made["images"]) and batch not in self._submitted:
                self._complete(made)
                self._call("POST", f"{self._api}/batches/{made['id']}/submit", b"{}", self._headers)
                self._submitted.add(batch)

    def _complete(self, made: Mapping[str, Any]) -> None:
        body = json.dumps({"images": [image["id"] for image in made["images"]]}).encode()
        answer = json.loads(self._call("POST", f"{self._api}/batches/{made['id']}/complete", body, self._headers))
        if problems := [image for image in answer["images"] if image["problem"]]:
            raise urllib3.exceptions.HTTPError(f"not complete: {problems}")

    def _announce(self, batch: int) -> dict[str, Any]:
        numbers = range(batch * self._size, min((batch + 1) * self._size, self._count))
        cases = [{"case_id": f"C-{n}", "patient_id": f"P-{n}", "images": [f"{n}.jpg"]} for n in numbers]
        body = json.dumps({"name": f"{batch}", "cases": cases}).encode()
        headers = {**self._headers, "Idempotency-Key": self._keys[batch]}
        return dict(json.loads(self._call("POST", f"{self._api}/batches", body, headers)))

    def _call(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        answer = self._pool.request(method, url, body=body, headers=headers)
        if answer.status >= 300:
            raise urllib3.exceptions.HTTPError(f"{method} {url}: {answer.status} {answer.data[:200]!r}")
        return answer.data


class LesionLens:
    """A running service that is offered photos."""

    def __init__(self, service: Service, connections: int) -> None:
        self._service = service
        self._connections = connections
        self._pool = pool(connections)
        self._key = json.loads(service.stack.manage("demo_accounts"))["api_key"]

    def course(self, pictures: Sequence[Photo], count: int, rate: float | None) -> Course:
        """What came of one load; a photo that is refused for its quality has its answer then."""
        batches = self._batches(PER_BATCH if rate is None else 1, count)
        sent = offer(
            lambda number: batches.send(number, pictures[number]),
            count,
            connections=self._connections,
            per_second=rate,
        )
        ended = self._ended(batches, count)
        return course(sent, [ended.get(batches.image(number)) for number in range(count)])

    def lost_when_killed(self, pictures: Sequence[Photo], count: int, at: int) -> tuple[int, int]:
        """Kill every process of the service when so many photos are in, and start them again: how many photos never got
        a result, and how many calls were broken off. Those are sent again, as the API's client does.
        """
        batches = self._batches(PER_BATCH, count)
        broken: list[int] = []

        def send(number: int) -> None:
            while True:
                try:
                    return batches.send(number, pictures[number % len(pictures)])
                except urllib3.exceptions.ProtocolError:
                    broken.append(number)

        def strike() -> None:
            for name in COMMANDS:
                self._service.stack.kill(name)
            self._service.stack.start(*COMMANDS)

        offer_and_strike(send, count, connections=self._connections, at=at, strike=strike)
        return count - len(self._ended(batches, count)), len(broken)

    def _batches(self, size: int, count: int) -> Batches:
        return Batches(self._service.stack.base_url, self._key, self._pool, size, count)

    def _ended(self, batches: Batches, count: int) -> dict[str, float]:
        """When each image had its result or its refusal, once all have; or which have after PATIENCE seconds."""
        found: dict[str, float] = {}

        def complete() -> bool:
            found.update(self._service.query(ENDED, batches.ids))
            return len(found) == count

        with suppress(TimeoutError):
            wait_for(complete, timeout=PATIENCE, every=0.5)
        return found
