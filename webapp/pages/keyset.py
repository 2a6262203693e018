"""Keyset pages: the next page starts after the last row that was shown, so rows that arrive meanwhile shift nothing.

Its address carries what that row is ordered by, encrypted: of a case it is a finding.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q, QuerySet

from webapp.ciphers import seal, unseal

PURPOSE = b"lesionlens keyset pages"

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of rows. `next_cursor` is empty on the last one."""

    rows: Sequence[Row]
    next_cursor: str
    has_previous: bool


def page_of(rows: "QuerySet[Row]", order: Sequence[str], *, after: str = "", size: int = 50) -> "Page[Row]":
    """A page of `rows` in `order` (names of columns or annotations that are never null, `-` for descending, the last
    one unique), after the row that the cursor `after` names. A cursor that was tampered with starts at the beginning.
    """
    last = _read(after, len(order))
    ordered = rows.order_by(*order)
    if last is not None:
        ordered = ordered.filter(_later(order, last))
    found = list(ordered[: size + 1])
    more = len(found) > size
    found = found[:size]
    return Page(found, _write(found[-1], order) if more else "", last is not None)


def neighbours(rows: "QuerySet[Row]", order: Sequence[str], row: Row) -> tuple[Row | None, Row | None]:
    """The rows just before and just after `row`, which need not be one of them but carries what they are ordered by."""
    values = [getattr(row, term.removeprefix("-")) for term in order]
    back = [term.removeprefix("-") if term.startswith("-") else f"-{term}" for term in order]
    before = rows.filter(_later(back, values)).order_by(*back).first()
    after = rows.filter(_later(order, values)).order_by(*order).first()
    return before, after


def _later(order: Sequence[str], last: Sequence[Any]) -> Q:
    """The rows behind `last`: equal in the first columns and further on in the next one."""
    # What follows says this too, but in a form that no index can begin with.
    bound = Q(**{f"{order[0].removeprefix('-')}__{'lte' if order[0].startswith('-') else 'gte'}": last[0]})
    condition, equal = Q(pk__in=[]), Q()
    for term, value in zip(order, last, strict=True):
        name = term.removeprefix("-")
        condition |= equal & Q(**{f"{name}__{'lt' if term.startswith('-') else 'gt'}": value})
        equal &= Q(**{name: value})
    return bound & condition


def _write(row: Model, order: Sequence[str]) -> str:
    values = [getattr(row, term.removeprefix("-")) for term in order]
    return seal(PURPOSE, json.dumps(values, cls=_Exact))


def _read(cursor: str, columns: int) -> list[Any] | None:
    values = json.loads(unseal(PURPOSE, cursor) or "[]")
    return values if len(values) == columns else None


class _Exact(DjangoJSONEncoder):
    """Django's encoder cuts times to milliseconds, which would show a row twice."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)
