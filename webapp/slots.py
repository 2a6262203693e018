"""Slots for what takes long: a few threads at once do it, so that the others still answer everybody else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.errors import Problem

ASK_AGAIN_SECONDS = 10


@contextmanager
def a_slot(slots: threading.Semaphore, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold one of the slots, waiting for it this long. Raises Problem `busy` (503) where none is free."""
    if not slots.acquire(timeout=seconds):
        message = "Too many ask for this at once. Nothing was done; try again in a moment."
        raise Problem("busy", message, status=503, retry_after=ASK_AGAIN_SECONDS)
    try:
        yield
    finally:
        slots.release()
