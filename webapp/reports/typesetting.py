"""From plain data to a PDF: tagged for screen readers (PDF/UA-1), its text searchable, in the scripts of `fonts/`."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp.slots import a_slot

SECONDS = 120
TURN = threading.Semaphore(1)  # one after the other in each process of the site: ten thousand cases take 400 MB
TURN_SECONDS = 10.0
QUEUE = threading.Semaphore(4)  # the one whose turn it is, and who wait for theirs: each keeps a thread
TYPESETTER = Path(__file__).with_name("typesetter.py")


@dataclass(frozen=True)
class Document:
    """A layout, and the JSON values that fill it. A picture is a list of its file's bytes."""

    layout: str
    data: Mapping[str, Any]


@contextmanager
def in_turn() -> Iterator[None]:
    """Hold this process's turn to gather and typeset a document. Raises Problem `busy` where it does not come soon."""
    with a_slot(QUEUE), a_slot(TURN, seconds=TURN_SECONDS):
        yield


def as_pdf(document: Document) -> bytes:
    """The document as PDF. Raises subprocess.SubprocessError where it cannot be typeset, or not in two minutes."""
    command = [sys.executable, "-P", str(TYPESETTER), document.layout]  # -P: its folder is no place to import from
    data = json.dumps(document.data).encode()
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=SECONDS)  # noqa: S603
    return done.stdout
