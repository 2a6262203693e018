"""The shipped bundle behind LitServe, behind BentoML and behind LesionLens: `python -m tests.bench.peers`.

The same client offers the same photos over the same connections to each, first as fast as they are taken, then at
given rates. The peers answer in the request: they decode, ask the model and keep nothing. LesionLens takes a photo in
one call of its own and three of its batch (which is announced, whose uploads are said to be complete, which is
submitted), and answers later, so its time runs from the first byte to the moment when the result is in the database.
In that time it also checks the photo's quality, strips what a camera wrote into it, makes a heatmap, and writes every
step to a durable database, which no peer does. Then each is killed with SIGKILL, with every process of it, and
started again while photos come in.

The peers' libraries live in an environment of their own, made on the first run; the model's come from this one.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import urllib3

from deploy.local.clinic import Photo
from deploy.local.process import Process
from deploy.local.redis import LOOPBACK, free_port
from deploy.local.stack import ROOT, STATE
from tests.bench.announced import LesionLens
from tests.bench.environments import python_with
from tests.bench.figures import Figure
from tests.bench.load import Course, course, offer, offer_and_strike, pool
from tests.bench.memory import family
from tests.bench.report import alone
from tests.bench.service import photos, running_service

IMAGES: Final = 1000
CONNECTIONS: Final = 32
RATES: Final = (5, 15, 30)
RATE_SECONDS: Final = 20
KILLED: Final = 400
KILLED_AT: Final = 1 / 3
OURS: Final = "LesionLens"
REQUIREMENTS: Final = Path(__file__).parent / "peer_servers" / "peers.txt"
BENTOML: Final = "serve tests.bench.peer_servers.bentoml_server:Lesions --host {host} --port {port}"
PEERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "LitServe": ("-m tests.bench.peer_servers.litserve_server {port}", "/health", "image"),
    "BentoML": (f"-m bentoml {BENTOML}", "/readyz", "images"),
}
"""The arguments of Python, the address that says that it is ready, and the part of the form that holds the photo."""


class Peer:
    """A peer's server, with the model warm."""

    def __init__(self, name: str, folder: Path) -> None:
        arguments, ready, self._part = PEERS[name]
        port = free_port()
        self._address = f"http://{LOOPBACK}:{port}"
        self._ready = self._address + ready
        self._pool = pool(CONNECTIONS)
        environment = {
            **os.environ,
            "RUNTIME_CACHE": str(STATE / "runtime"),
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "1",
        }
        argv: list[str | Path] = [python_with(REQUIREMENTS), *arguments.format(host=LOOPBACK, port=port).split()]
        self._process = Process(name, argv, log=folder / f"{name}.log", env=environment, cwd=ROOT)

    def start(self) -> None:
        """Return when it answers."""
        self._process.start()
        self._process.wait_until(self._answers, timeout=120)

    def kill(self) -> None:
        """SIGKILL to all its processes; a peer's workers can have groups of their own."""
        for pid in family(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()

    def send(self, photo: Photo) -> None:
        """Post one photo and read its answer."""
        fields = {self._part: (photo.filename, photo.data, "image/jpeg")}
        answer = self._pool.request("POST", f"{self._address}/predict", fields=fields)
        if answer.status != 200 or b"MEL" not in answer.data:
            raise urllib3.exceptions.HTTPError(f"{answer.status}: {answer.data[:200]!r}")

    def _answers(self) -> bool:
        try:
            return urllib3.request("GET", self._ready, retries=False, timeout=2).status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False


def measure(scale: float) -> Sequence[Figure]:
    """Throughput, times and losses of each server, and LesionLens beside the better peer."""
    pictures = photos(max(60, round(scale * IMAGES)))
    figures: list[Figure] = []
    rates: dict[str, float] = {}
    for name in PEERS:
        with _running(name) as peer:
            for load, found in _courses(pictures, scale, partial(_peer_course, peer, pictures)):
                figures += _times(name, load, found)
                rates.setdefault(name, found.rate)
            figures.append(_peer_lost(name, peer, pictures, scale))
    # A dead worker's leases run out sooner than by default: how long that takes is not what is compared.
    with running_service(environment={"LEASE_SECONDS": "20"}) as service:
        ours = LesionLens(service, CONNECTIONS)
        ours.course(pictures, CONNECTIONS, None)  # warm, as the peers are
        for load, found in _courses(pictures, scale, partial(ours.course, pictures)):
            figures += _times(OURS, load, found)
            rates.setdefault(OURS, found.rate)
        count = max(40, round(scale * KILLED))
        lost, broken = ours.lost_when_killed(pictures, count, round(KILLED_AT * count))
        note = f"of {count}, counted in the database; {broken} calls were broken off and made again"
        figures.append(Figure(f"{OURS}: photos lost by a kill -9", lost, target="0", met=lost == 0, note=note))
    better = max(PEERS, key=rates.__getitem__)
    ratio = rates[OURS] / rates[better]
    note = f"{better} is the better peer"
    return [*figures, Figure(f"throughput, {OURS} ÷ {better}", ratio, target="≥ 1", met=ratio >= 1, note=note)]


def _courses(
    pictures: Sequence[Photo], scale: float, run: Callable[[int, float | None], Course]
) -> Iterator[tuple[str, Course]]:
    """The loads, the same for each server: all that it takes first."""
    yield f"{CONNECTIONS} connections, as fast as they are taken", run(len(pictures), None)
    for rate in RATES:
        count = min(len(pictures), max(20, round(rate * RATE_SECONDS * scale)))
        yield f"{rate} a second", run(count, rate)


def _times(name: str, load: str, found: Course) -> Iterator[Figure]:
    note = f"{found.unanswered} without an answer" if found.unanswered else ""
    yield Figure(f"{name}, {load}: answered", found.rate, "images/s", note=note)
    yield Figure(f"{name}, {load}: median", found.p50, "ms")
    yield Figure(f"{name}, {load}: 95 %", found.p95, "ms")


@contextmanager
def _running(name: str) -> Iterator[Peer]:
    """A peer that has answered its first photos."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-peers-") as folder:
        peer = Peer(name, Path(folder))
        peer.start()
        try:
            _peer_course(peer, photos(CONNECTIONS), CONNECTIONS, None)
            yield peer
        finally:
            peer.kill()


def _peer_course(peer: Peer, pictures: Sequence[Photo], count: int, rate: float | None) -> Course:
    sent = offer(lambda number: peer.send(pictures[number]), count, connections=CONNECTIONS, per_second=rate)
    return course(sent)


def _peer_lost(name: str, peer: Peer, pictures: Sequence[Photo], scale: float) -> Figure:
    """How many photos it had taken without answering when it was killed."""
    count = max(40, round(scale * KILLED))

    def strike() -> None:
        peer.kill()
        peer.start()

    sent = offer_and_strike(
        lambda number: peer.send(pictures[number % len(pictures)]),
        count,
        connections=CONNECTIONS,
        at=round(KILLED_AT * count),
        strike=strike,
    )
    lost = sum(1 for each in sent if each.error)
    return Figure(f"{name}: photos lost by a kill -9", lost, note=f"of {count}: their calls were broken off")


if __name__ == "__main__":
    sys.exit(alone("peers", measure))
