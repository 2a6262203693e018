"""What is wrong with the rows that a client sent: each mistake with its row, as a problem and as a table."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from webapp.cases.fields import for_spreadsheet
from webapp.errors import Problem

MAX_LISTED = 1000  # of the mistakes in a problem; the rest are counted


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
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["row", "field", "code", "message"])
    for error in errors:
        writer.writerow([error.row, for_spreadsheet(error.field), error.code, for_spreadsheet(error.message)])
    return table.getvalue()
