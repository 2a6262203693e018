"""What a bench gives: figures with a name, a unit and, where there is one, the target that each has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure. `met` is None where there is nothing to meet; `note` says in a few words what it means."""

    name: str
    value: float
    unit: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""


Measure = Callable[[float], Sequence[Figure]]
"""A bench: the public function `measure(scale)` of a module of `tests.bench`. `scale` 1 is the full size; a smaller one
shortens it to see that it works.
"""
