"""Texts of clients as tables that people open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def for_spreadsheet(written: str) -> str:
    """A client's text as a cell of a table: quoted where a spreadsheet would take it for a formula."""
    return f"'{written}" if written.startswith(FORMULA) else written


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as CSV, each quoted as `for_spreadsheet` does."""
    written = io.StringIO()
    csv.writer(written).writerows(map(for_spreadsheet, row) for row in rows)
    return written.getvalue()
