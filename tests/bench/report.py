"""What a run of benches gave: one JSON and one table, on the terminal and as Markdown."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Measure
from tests.bench.machine import Machine

HEADINGS: Final = ("bench", "what", "figure", "target", "", "note")


@dataclass(frozen=True)
class Outcome:
    """One bench: its figures, or in `error` why there are none."""

    bench: str
    seconds: float
    figures: Sequence[Figure] = ()
    error: str = ""


@dataclass(frozen=True)
class Report:
    """One run. Figures of one report belong together: the same machine, the same code, one bench after the other."""

    machine: Machine
    scale: float
    outcomes: Sequence[Outcome]

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)

    @property
    def met(self) -> bool:
        """Whether every bench gave figures and none of them misses its target."""
        return not any(
            outcome.error or any(figure.met is False for figure in outcome.figures) for outcome in self.outcomes
        )


def markdown(report: Report) -> str:
    """The report as a Markdown table, to be pasted into a document."""
    lines = [f"{report.machine}; scale {report.scale:g}", ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in _rows(report.outcomes)]
    return "\n".join(lines) + "\n"


def show(outcomes: Sequence[Outcome]) -> None:
    """The same as a table on the terminal."""
    table = Table(*HEADINGS)
    for row in _rows(outcomes):
        table.add_row(*row, style="red" if row[4] in ("missed", "failed") else None)
    Console().print(table)


def alone(name: str, measure: Measure) -> int:
    """The command line of one bench; gives the exit status: whether it meets its targets."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{name}")
    parser.add_argument("--scale", type=float, default=1, help="1 is the full size")
    outcome = Outcome(name, 0, measure(parser.parse_args().scale))
    show([outcome])
    return int(any(figure.met is False for figure in outcome.figures))


def _rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, ...]]:
    for outcome in outcomes:
        if outcome.error:
            yield outcome.bench, outcome.error, "", "", "failed", ""
        for figure in outcome.figures:
            met = {None: "", True: "met", False: "missed"}[figure.met]
            yield outcome.bench, figure.name, _written(figure), figure.target, met, figure.note


def _written(figure: Figure) -> str:
    """The figure to three digits, as a person reads it, with its unit."""
    value = figure.value
    digits = f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return f"{digits} {figure.unit}".strip()
