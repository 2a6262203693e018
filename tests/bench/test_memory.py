"""Memory that is watched over time."""

import os
import subprocess
import sys

from tests.bench.memory import Course, family, megabytes


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
