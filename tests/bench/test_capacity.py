"""What an image costs is counted right, and the document says what the arithmetic gives."""

import os
import subprocess
import sys

import pytest

from tests.bench.capacity import DOCUMENT, Assumed, Measured, Plan, filled_in, tables
from tests.bench.footprint import processor_seconds

# More than is asserted: the kernel rounds its four counts down to hundredths.
BURN = "import time\nwhile time.process_time() < 0.6: pass"


def test_the_document_has_the_tables_of_today() -> None:
    text = DOCUMENT.read_text()
    assert filled_in(text, tables(Measured(), Assumed())) == text, "run: python -m tests.bench.capacity --write"


def test_a_plan_is_the_arithmetic_that_it_says() -> None:
    one = Measured(web=10, worker_cpu=20, worker_inference=30, postgres=40, kept_kb=100, rows_kb=4)
    plan = Plan(86_400 * 60, one, Assumed(peak=2, busy=0.5, core_hour=1, database_core_hour=2, pictures_days=10))
    assert (plan.mean, plan.peak) == (60, 120)
    assert plan.cores(10) == 3  # 120 images a second, each 10 ms of a core that is half busy: 2.4
    assert plan.stored_tb(100, 10) == pytest.approx(5.184)
    costs = [dollars for _, dollars in plan.costs()]
    assert costs[0] == pytest.approx(60 * 0.060 / 0.5 * 24)
    assert costs[1] == plan.cores(40) * 24 * 2


def test_pictures_are_kept_in_the_size_in_which_the_plan_has_them_sent() -> None:
    one = Measured(sent_kb=50, kept_kb=40)
    needs, twice = (dict(Plan(86_400, one, Assumed(photo_kb=kilobytes)).needs()) for kilobytes in (1000, 2000))
    assert needs["pictures, GB a day"] == "69"  # 0.8 of the 86.4 that are sent
    assert twice["pictures, GB a day"] == "138"


def test_a_gpu_saves_the_networks_alone() -> None:
    one = Measured(worker_inference=20, networks=10)
    prices = Assumed(busy=0.5, core_hour=0.05, gpu_hour=1)
    assert "| images a second from which a GPU is cheaper than cores | 1,000 |" in tables(one, prices)["machine"]


def test_processor_time_is_that_of_a_process_and_of_what_it_started() -> None:
    before = processor_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BURN], check=True)  # has ended: its time is its parent's
    ended = processor_seconds(os.getpid())
    assert 0.5 <= ended - before < 5
    with subprocess.Popen(
        [sys.executable, "-c", f"{BURN}\nprint(flush=True)\ninput()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert processor_seconds(os.getpid()) - ended >= 0.5  # still running
        child.communicate(b"\n")
