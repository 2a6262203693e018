"""The mistakes of a table as a page tells them: those that are alike in one sentence, so that a pattern is seen."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from webapp.cases.manifest import RowError

SHOWN_ROWS = 5


def sentences(errors: Iterable[RowError]) -> list[str]:
    """For each column and what is wrong with it a sentence: in which rows, and what to do. What is wrong in the most
    rows comes first.
    """
    alike = defaultdict[tuple[str, str], list[RowError]](list)
    for error in errors:
        alike[error.field, error.code].append(error)
    return [_sentence(group) for group in sorted(alike.values(), key=len, reverse=True)]


def _sentence(alike: Sequence[RowError]) -> str:
    first = alike[0]
    where = _where(sorted({error.row for error in alike}))
    where = f"Column {first.field}, {where}" if first.field else where.capitalize()
    if any(error.message != first.message for error in alike):
        where += f". In row {first.row}"
    return f"{where}: {first.message}"


def _where(rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) <= SHOWN_ROWS:
        return f"rows {', '.join(map(str, rows[:-1]))} and {rows[-1]}"
    return f"{len(rows):,} rows ({', '.join(map(str, rows[:SHOWN_ROWS]))} and others)"
