"""Files that are written whole or not at all, and named where that fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Names the file where the system does not: of a full disk it says that it is full, and not of what."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise


@contextmanager
def complete(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which stands under its name once all of it is written: whoever goes on from what took hours
    takes a file that is there for a whole one. Makes the folder, and leaves nothing half written on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f".{path.name}.part")
    try:
        with named(path), arriving.open("wb") as file:
            yield file
        os.replace(arriving, path)
    finally:
        arriving.unlink(missing_ok=True)
