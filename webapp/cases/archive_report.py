"""What is said of the files and rows of an archive that were left out, so that whoever made it can put it right."""

from collections.abc import Iterable, Sequence
from unicodedata import category

from ml.imaging.archive import LONGEST_NAME
from webapp.cases.manifest.mistakes import RowError

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


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
