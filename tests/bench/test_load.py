"""The client of the bench that compares servers."""

import time
from threading import Event, Lock

import urllib3
from urllib3.connection import HTTPConnection

from tests.bench.load import Sent, course, offer, offer_and_strike


def test_an_open_loop_counts_the_time_that_a_photo_waits_for_a_connection() -> None:
    found = course(offer(lambda _: time.sleep(0.05), 8, connections=1, per_second=1000))

    assert found.unanswered == 0
    assert found.p50 > 150, "each waits for those before it"
    assert found.rate < 21


def test_a_closed_loop_keeps_every_connection_busy() -> None:
    running, most, lock = 0, 0, Lock()

    def send(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    assert not any(each.error for each in offer(send, 12, connections=3))
    assert most == 3


def test_a_photo_whose_call_is_broken_off_is_lost_and_one_that_finds_nobody_is_offered_again() -> None:
    down, tries = Event(), []

    def send(number: int) -> None:
        tries.append(number)
        if number == 3:
            raise urllib3.exceptions.ProtocolError("broken off")
        if number == 4 and not down.is_set():
            raise urllib3.exceptions.NewConnectionError(HTTPConnection("localhost"), "refused")

    def strike() -> None:
        time.sleep(0.05)
        down.set()

    sent = offer_and_strike(send, 6, connections=1, at=2, strike=strike)

    assert [number for number, each in enumerate(sent) if each.error] == [3]
    assert tries.count(4) > 1
    assert tries.count(3) == 1


def test_an_answer_that_comes_later_counts_from_when_the_photo_was_due() -> None:
    sent = [Sent(100.0, 100.1), Sent(101.0, 101.1), Sent(102.0, 102.1, "ProtocolError")]

    found = course(sent, [104.0, 105.0, None])

    assert found.seconds == [4.0, 4.0]
    assert found.rate == 2 / 5
    assert found.unanswered == 1
