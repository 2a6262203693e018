"""Small charts, drawn by the template as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True)
class Bar:
    """One bar, in the chart's own units, with what it shows."""

    x: float
    y: float
    width: float
    height: float
    value: int


@dataclass(frozen=True)
class Chart:
    """Bars from left to right, scaled so that the highest fills the height."""

    bars: Sequence[Bar]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT


def bars(values: Sequence[int]) -> Chart:
    """A bar for each value."""
    highest = max(values, default=0)
    step = WIDTH / max(len(values), 1)
    drawn = []
    for index, value in enumerate(values):
        height = HEIGHT * value / highest if highest else 0.0
        drawn.append(
            Bar(round(index * step, 1), round(HEIGHT - height, 1), round(step * 0.8, 1), round(height, 1), value)
        )
    return Chart(drawn, highest)
