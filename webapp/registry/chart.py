"""The loss of each epoch as a line chart: geometry only, drawn by a template."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 480
HEIGHT: Final = 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 28


@dataclass(frozen=True)
class Mark:
    """A place on an axis with its words."""

    at: float
    words: str


@dataclass(frozen=True)
class Line:
    """One series: its name and its points in the chart's units."""

    name: str
    points: Sequence[tuple[float, float]]

    @property
    def path(self) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """The losses of one member. `rows` are its epochs as reported, for the table beside it."""

    member: str
    rows: Sequence[dict[str, Any]]
    lines: Sequence[Line]
    epochs: Sequence[Mark]
    losses: Sequence[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def charts(events: Iterable[dict[str, Any]]) -> list[Chart]:
    """One chart for each member that has reported an epoch, in the order of training."""
    members: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event["event"] == "epoch":
            members.setdefault(event["member"], []).append(event)
    return [_chart(member, rows) for member, rows in members.items()]


def _chart(member: str, rows: Sequence[dict[str, Any]]) -> Chart:
    last = max(rows[0]["of"], rows[-1]["epoch"])
    series = {"Training": "loss", "Validation": "validation_loss"}
    top = max([value for row in rows for key in series.values() if (value := row.get(key)) is not None] or [1]) or 1

    def x(epoch: int) -> float:
        inner = WIDTH - LEFT - RIGHT
        return LEFT + inner * ((epoch - 1) / (last - 1) if last > 1 else 0.5)

    def y(loss: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * loss / top

    lines = [
        Line(name, [(x(row["epoch"]), y(row[key])) for row in rows if row.get(key) is not None])
        for name, key in series.items()
    ]
    step = max(1, -(-last // 10))
    return Chart(
        member=member,
        rows=rows,
        lines=[line for line in lines if line.points],
        epochs=[Mark(x(epoch), str(epoch)) for epoch in range(1, last + 1, step)],
        losses=[Mark(y(loss), f"{loss:.2f}") for loss in (0, top / 2, top)],
    )
