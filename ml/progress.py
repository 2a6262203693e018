"""How a long run tells where it is: JSON lines for a program, a bar for a person."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ml.metrics.measured import LABELS, label, words

EVERY: Final = 30.0
"""Seconds between two lines on how far something is, where nobody watches a bar: a service keeps each of them."""

Advance = Callable[..., object]
"""Called with the number of steps that were done, one unless it is given."""


class Progress(Protocol):
    """Receives the events of a run."""

    def stage(self, name: str) -> None:
        """A new part of the work begins."""

    def steps(self, name: str, of: int) -> AbstractContextManager[Advance]:
        """Something of so many steps begins, such as images to read; what it gives is called as they are done."""

    def epoch(self, member: str, epoch: int, of: int, loss: float, validation_loss: float | None) -> None:
        """One epoch of a member ended; losses are cross-entropies in nats, the second None without a validation
        split.
        """

    def warning(self, message: str, **facts: Any) -> None:
        """Something is not as it should be, and the run goes on; the facts are the message's, for a program."""

    def done(self, **facts: Any) -> None:
        """The run ended well."""

    def error(self, code: str, message: str) -> None:
        """The run ended badly."""


class JsonProgress:
    """One JSON object for each event on standard output."""

    def stage(self, name: str) -> None:
        self._write("stage", name=name)

    def steps(self, name: str, of: int) -> AbstractContextManager[Advance]:
        return _now_and_then(lambda done: self._write("steps", name=name, done=done, of=of))

    def epoch(self, member: str, epoch: int, of: int, loss: float, validation_loss: float | None) -> None:
        self._write("epoch", member=member, epoch=epoch, of=of, loss=loss, validation_loss=validation_loss)

    def warning(self, message: str, **facts: Any) -> None:
        self._write("warning", message=message, **facts)

    def done(self, **facts: Any) -> None:
        self._write("done", **facts)

    def error(self, code: str, message: str) -> None:
        self._write("error", code=code, message=message)

    def _write(self, event: str, **facts: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()


class TextProgress:
    """Lines for a person on standard error, and on a terminal bars."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def stage(self, name: str) -> None:
        self._print(name, style="bold")

    def steps(self, name: str, of: int) -> AbstractContextManager[Advance]:
        if self._console.is_terminal:
            return bar(f"  {name}", of, self._console)
        return _now_and_then(lambda done: self._print(f"  {name}: {done} of {of}"))

    def epoch(self, member: str, epoch: int, of: int, loss: float, validation_loss: float | None) -> None:
        validation = "" if validation_loss is None else f", validation loss {validation_loss:.3f}"
        self._print(f"  {member} epoch {epoch}/{of}: loss {loss:.3f}{validation}")

    def warning(self, message: str, **facts: Any) -> None:
        self._print(f"Warning: {message}", style="yellow")

    def done(self, **facts: Any) -> None:
        for line in _lines(facts):
            self._print(line)

    def error(self, code: str, message: str) -> None:
        self._print(f"{message} ({code})", style="red")

    def _print(self, text: str, style: str | None = None) -> None:
        # A path may hold what looks like markup, and is copied whole.
        self._console.print(text, style=style, markup=False, soft_wrap=True)


def _lines(facts: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A line for each fact, in words: what was measured with its interval, and what holds more above its own lines."""
    for name, value in facts.items():
        called = label(name) if name in LABELS else name.replace("_", " ")
        if isinstance(value, Mapping) and value.keys() == {"value", "low", "high"}:
            yield f"{indent}{called}: {words(value)}"
        elif isinstance(value, Mapping) and value:
            yield f"{indent}{called}{', with 95 % intervals by lesion' if name == 'metrics' else ''}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{called}: {'none' if value == {} else value}"


def progress_for(kind: str) -> Progress:
    """`json` or `text`."""
    return JsonProgress() if kind == "json" else TextProgress()


@contextmanager
def bar(text: str, total: int, console: Console | None = None) -> Iterator[Advance]:
    """A progress bar on a console, standard error unless one is given; call what it gives for each thing done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console or Console(stderr=True)) as shown:
        yield partial(shown.advance, shown.add_task(text, total=total))


@contextmanager
def _now_and_then(tell: Callable[[int], None]) -> Iterator[Advance]:
    """Tells how many steps are done, no more often than EVERY seconds."""
    done, told = 0, time.monotonic()

    def advance(by: int = 1) -> None:
        nonlocal done, told
        done += by
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            tell(done)

    yield advance
