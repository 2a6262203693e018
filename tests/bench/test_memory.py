"""Memory that is watched over time."""

import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.bench.memory import Course, family, megabytes, watched


def course(growth: float) -> Course:
    """An hour of a process that fills its caches for ten minutes and then grows by so many MB."""
    made = Course()
    for minute in range(61):
        made.note(minute * 60, 100 * min(1, minute / 10) + growth * max(0, minute - 10) / 50)
    return made


def test_what_grows_after_warming_up_is_told_and_what_warms_up_is_not() -> None:
    assert course(0).flat
    assert not course(60).flat
    assert round(course(60).slope) == 72  # MB an hour
    assert round(course(0).slope) == 0


def test_a_family_is_a_process_with_its_descendants_and_their_memory() -> None:
    before = megabytes(os.getpid())
    code = "kept = b'x' * 50_000_000; print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()

        assert child.pid in family(os.getpid())
        assert megabytes(os.getpid()) - before > 45

        child.kill()


def test_work_that_comes_second_is_seen_to_take_as_much_as_the_first() -> None:
    grown = []
    for _ in range(2):
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            pid = process.submit(os.getpid).result()
            with watched(pid) as held:
                process.submit(hold_50_mb).result()
            grown.append(max(held) - held[0])
    assert all(45 < megabytes < 70 for megabytes in grown), grown


def hold_50_mb() -> None:
    """For a fifth of a second, in small pieces, which a process does not give back."""
    pieces = [bytes(1000) for _ in range(48_000)]
    time.sleep(0.2)
    assert pieces
