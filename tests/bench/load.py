"""One client for every server that is compared: it offers photos and notes when each was sent and answered."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

import numpy as np
import urllib3

Send = Callable[[int], None]
PATIENCE = 120  # seconds for a server to come back


@dataclass(frozen=True)
class Sent:
    """One photo: when it was to be sent, when the call came back (times of day in seconds), and why it failed."""

    due: float
    back: float
    error: str = ""


@dataclass(frozen=True)
class Course:
    """What came of a load: photos a second from the first byte to the last answer; seconds from when each was due to
    its answer; how many have none.
    """

    rate: float
    seconds: Sequence[float]
    unanswered: int

    @property
    def p50(self) -> float:
        """The median, in ms."""
        return float(np.percentile(self.seconds, 50)) * 1000

    @property
    def p95(self) -> float:
        """95 % took no longer, in ms."""
        return float(np.percentile(self.seconds, 95)) * 1000


def pool(connections: int) -> urllib3.PoolManager:
    """Kept connections, one for each thread; nothing is sent twice."""
    return urllib3.PoolManager(maxsize=connections, block=True, retries=False, timeout=120)


def offer(send: Send, count: int, *, connections: int, per_second: float | None = None) -> list[Sent]:
    """Call `send(number)` for each of `count` photos over so many connections.

    `per_second` is the rate at which photos fall due, whether or not those before are answered (an open loop: the time
    that a photo waits for a connection counts); None sends each as soon as a connection is free (a closed loop).
    """
    started = time.time()

    def one(number: int) -> Sent:
        due = time.time()
        if per_second is not None:
            due = started + number / per_second
            time.sleep(max(0.0, due - time.time()))
        try:
            send(number)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Sent(due, time.time(), type(error).__name__)
        return Sent(due, time.time())

    with ThreadPoolExecutor(connections) as threads:
        return list(threads.map(one, range(count)))


def offer_and_strike(send: Send, count: int, *, connections: int, at: int, strike: Callable[[], None]) -> list[Sent]:
    """As `offer`, in a closed loop; calls `strike` in this thread when so many photos have come back.

    A photo that finds nobody listening was not taken: it is offered again. One whose call is broken off is not.
    """
    back = 0
    lock = Lock()
    struck = Event()

    def one(number: int) -> None:
        nonlocal back
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return send(number)
            except urllib3.exceptions.NewConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            finally:
                with lock:
                    back += 1
                    if back >= at:
                        struck.set()

    with ThreadPoolExecutor(1) as background:
        offered = background.submit(offer, one, count, connections=connections)
        struck.wait()
        strike()
        return offered.result()


def course(sent: Sequence[Sent], answered: Sequence[float | None] | None = None) -> Course:
    """What came of it; `answered` says when each was answered where that is not when the call came back."""
    ends = [None if each.error else each.back for each in sent] if answered is None else answered
    pairs = [(each.due, end) for each, end in zip(sent, ends, strict=True) if end is not None]
    if not pairs:
        return Course(0, [float("nan")], len(sent))
    elapsed = max(end for _, end in pairs) - min(each.due for each in sent)
    return Course(len(pairs) / elapsed, [end - due for due, end in pairs], len(sent) - len(pairs))
