"""What is wrong with the rows that a client sent: each mistake with its row, as a problem, as a table, and as a page
tells them: those that are alike in one sentence, so that a pattern is seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from webapp.cases.manifest.columns import RENAME, RENAME_ALL
from webapp.errors import Problem
from webapp.spreadsheets import as_csv

MAX_LISTED = 1000  # of the mistakes in a problem; the rest are counted
SHOWN_ROWS = 5  # of the rows with one mistake, in its sentence


@dataclass(frozen=True)
class RowError:
    """One mistake, and what to do about it. Rows count from 1; of a CSV, row 1 is the header."""

    row: int
    field: str
    code: str
    message: str


class RowsRefused(Problem):
    """Rows that cannot be taken. `errors` has every mistake; who is answered with the problem is given the first."""

    def __init__(self, code: str, message: str, errors: Sequence[RowError], **details: object) -> None:
        self.errors = sorted(errors, key=attrgetter("row"))
        listed = [vars(error) for error in self.errors[:MAX_LISTED]]
        super().__init__(code, message, status=422, error_count=len(errors), errors=listed, **details)


def error_table(errors: Sequence[RowError]) -> str:
    """Every mistake as a row of CSV, the header first."""
    rows = ([str(error.row), error.field, error.code, error.message] for error in errors)
    return as_csv([["row", "field", "code", "message"], *rows])


def sentences(errors: Iterable[RowError]) -> list[str]:
    """For each column and what is wrong with it a sentence: in which rows, and what to do; columns of which it is the
    same share one. What is wrong in the most rows comes first.
    """
    alike = defaultdict[tuple[str, str], list[RowError]](list)
    for error in errors:
        alike[error.field, error.code].append(error)
    columns = defaultdict[str, list[str]](list)
    for (column, _), group in sorted(alike.items(), key=lambda item: len(item[1]), reverse=True):
        columns[_rows_and_message(group)].append(column)
    return [_sentence([name for name in names if name], told) for told, names in columns.items()]


def _sentence(columns: Sequence[str], told: str) -> str:
    if not columns:
        return told[0].upper() + told[1:]
    if len(columns) == 1:
        return f"Column {columns[0]}, {told}"
    return f"Columns {_listed(columns)}, {told.replace(RENAME, RENAME_ALL)}"


def _rows_and_message(alike: Sequence[RowError]) -> str:
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
