"""All that was left out of a batch: files and rows of its ZIP, and files that were chosen and are of no case. Of each
a line says what to do, so that whoever sent it can put it right.

An archive's report and a batch's `left_out` are read with each look at the batch, so they have the first lines only.
The rest, a hundred thousand where a large table is wrong throughout, is read by who takes all of it away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from unicodedata import category

from ml.imaging.archive import LONGEST_NAME
from webapp import spreadsheets
from webapp.cases.manifest.mistakes import RowError
from webapp.cases.models import Archive, Batch, MoreLeftOut

MAX_LISTED = 2000  # of an archive's report, and of a batch's `left_out`
AT_ONCE = 500  # of the rest, in a row of the database
COLUMNS = ("name", "code", "message")
MISSING_NAMED = 20  # of the files that a table names and the archive lacks: a published table names thousands
FITTING_NAMED = 5  # of the files that a name fits

NO_PICTURE = (
    "Its name says that this is no picture, so it was left out. If it is one, rename it, and put it in a new batch."
)
# What `ml` says of such a name is read beside the name alone, which often looks well.
UNSAFE_NAME = (
    "The file is a link, or its path begins at a root or holds “..”; or its name is too long, or holds signs that "
    "cannot be shown. Put the file itself into the ZIP, under a name of plain letters and numbers."
)

ABSENT = "is not in the archive. Left out."

Report = list[dict[str, str]]
Lines = Sequence[Mapping[str, str]]


def showable(path: str) -> str:
    """The end of a path, with signs that cannot be shown replaced; a Mac writes the times of its pictures with a narrow
    space.
    """
    shown = "".join(sign if sign.isprintable() or category(sign) == "Zs" else "\ufffd" for sign in path)
    return shown if len(shown) <= LONGEST_NAME else "…" + shown[1 - LONGEST_NAME :]


def fits(wanted: str, names: Sequence[str]) -> str:
    """Of a name that fits several files."""
    some = _some(names, FITTING_NAMED)
    return f"{wanted} fits several files of the archive: {some}. Name it with its folder and its ending. Left out."


def missing(names: Sequence[str]) -> str:
    """Of names that fit no file."""
    some = _some(names, MISSING_NAMED)
    return f"The table names files that are not in the archive, {len(names)} in all: {some}. Left out."


def line(name: str, code: str, message: str) -> dict[str, str]:
    """A line about a file, or a row; about the whole where it has no name."""
    return {"name": name, "code": code, "message": message}


def of_rows(errors: Iterable[RowError]) -> Report:
    """A line about each mistake in rows of the table."""
    return [line(f"row {error.row}", error.code, f"{error.field}: {error.message}") for error in errors]


def keep_more(*, batch: Batch, lines: Lines) -> None:
    """Keep the rest, in the caller's transaction."""
    parts = [MoreLeftOut(batch=batch, lines=lines[at : at + AT_ONCE]) for at in range(0, len(lines), AT_ONCE)]
    MoreLeftOut.objects.bulk_create(parts, batch_size=20)


def as_csv(batch: Batch) -> Iterator[str]:
    """Every line as CSV, many at once, the header first. Texts that a spreadsheet would take for a formula are quoted
    for it.
    """
    yield spreadsheets.as_csv([COLUMNS])
    for lines in _parts(batch):
        yield spreadsheets.as_csv([each[column] for column in COLUMNS] for each in lines)


def _parts(batch: Batch) -> Iterator[Lines]:
    for archive in Archive.objects.filter(batch=batch):
        yield archive.report
    yield batch.left_out
    for more in batch.more_left_out.order_by("pk").iterator(chunk_size=20):
        yield more.lines


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
