"""The mistakes of a table as a page tells them: those that are alike in one sentence, so that a pattern is seen."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from webapp.cases.columns import RENAME, RENAME_ALL
from webapp.cases.rows import RowError

SHOWN_ROWS = 5


def sentences(errors: Iterable[RowError]) -> list[str]:
    """For each column and what is wrong with it a sentence: in which rows, and what to do; columns of which it is the
    same share one. What is wrong in the most rows comes first.
    """
    alike = defaultdict[tuple[str, str], list[RowError]](list)
    for error in errors:
        alike[error.field, error.code].append(error)
    columns = defaultdict[str, list[str]](list)
    for (column, _), group in sorted(alike.items(), key=lambda item: len(item[1]), reverse=True):
        columns[_told(group)].append(column)
    return [_sentence([name for name in names if name], told) for told, names in columns.items()]


def _sentence(columns: Sequence[str], told: str) -> str:
    if not columns:
        return told[0].upper() + told[1:]
    if len(columns) == 1:
        return f"Column {columns[0]}, {told}"
    return f"Columns {_listed(columns)}, {told.replace(RENAME, RENAME_ALL)}"


def _told(alike: Sequence[RowError]) -> str:
    first = alike[0]
    where = _where(sorted({error.row for error in alike}))
    if any(error.message != first.message for error in alike):
        where += f". In row {first.row}"
    return f"{where}: {first.message}"


def _where(rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) <= SHOWN_ROWS:
        return f"rows {_listed(rows)}"
    return f"{len(rows):,} rows ({', '.join(map(str, rows[:SHOWN_ROWS]))} and others)"


def _listed(several: Sequence[object]) -> str:
    *others, last = map(str, several)
    return f"{', '.join(others)} and {last}" if others else last
