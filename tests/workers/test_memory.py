"""The processes of a worker share the memory that they were forked with."""

import subprocess
import sys
from typing import Final

FORK: Final = """
import gc, os
import workers
from celery.signals import worker_before_create_process
from tests.bench.memory import megabytes

worker_before_create_process.send(sender=None)
child_has_collected, child_may_end = os.pipe(), os.pipe()
if os.fork() == 0:
    os.close(child_may_end[1])
    before = megabytes(os.getppid())
    gc.collect()
    os.write(child_has_collected[1], str(megabytes(os.getppid()) - before).encode())
    os.read(child_may_end[0], 1)
    os._exit(0)
print(os.read(child_has_collected[0], 100).decode())
"""


def test_a_garbage_collection_in_a_forked_process_copies_little() -> None:
    grown = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True).stdout
    assert float(grown.split()[-1]) < 10  # MB; without freezing 50
