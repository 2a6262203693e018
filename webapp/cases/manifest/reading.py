"""A manifest says which cases a batch holds: JSON of the API, or a CSV table. Every mistake is found in one reading.

A row of JSON is a case with a list of images. A row of CSV names one image, or several parted by semicolons; rows with
one case_id are further images of that case, and a row without one is a case of its own. Images of a ZIP may be named
with their folders. HAM10000's metadata table is understood as it was published; its diagnosis is not read.
"""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from operator import attrgetter
from typing import Any

from webapp.cases.manifest.columns import ALIASES, COLUMNS, UNREAD, unknown
from webapp.cases.manifest.fields import IMAGES, READERS, FieldError, read_images
from webapp.cases.manifest.fields import MAX_IMAGES as MAX_IMAGES_OF_CASE
from webapp.cases.manifest.filenames import case_ids
from webapp.cases.manifest.mistakes import MAX_LISTED, RowError, RowsRefused
from webapp.cases.manifest.spec import CaseSpec
from webapp.pages.words import counted

MAX_CASES = 10_000  # in one request
MAX_IMAGES = 20_000  # in one request, whose answer says where each goes
MAX_ROWS = 50_000  # in one table, which may describe more images than are sent with it
MAX_CSV_BYTES = 32 * 1024**2
MAX_COLUMNS = 200
MAX_UNKNOWN = 20  # of the fields of one case that have no meaning here

TOO_MANY_CASES = f"Send at most {MAX_CASES} cases in a request, and add the rest to the batch with another."


@dataclass(frozen=True)
class Manifest:
    """The cases that are sound, and every mistake in the others."""

    cases: list[CaseSpec] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)

    def checked(self) -> list[CaseSpec]:
        """The cases. Raises RowsRefused `manifest_invalid` with the mistakes, if there is one."""
        if self.errors:
            raise RowsRefused(
                "manifest_invalid",
                "Nothing was stored. Correct the rows in `errors` and send the manifest again. "
                f"With `Accept: text/csv` this answer lists every mistake, not only the first {MAX_LISTED}.",
                self.errors,
            )
        return self.cases


class UnreadableRowError(Exception):
    """A row that is no CSV, so that nobody knows where the next begins. Says in which line of the text it begins."""

    def __init__(self, row: int, line: int) -> None:
        super().__init__(f"The row that begins in line {line}")
        self.row = row


def from_json(rows: object, *, capture: str = "") -> Manifest:
    """The manifest in the `cases` of a request, as JSON gives it.

    `capture` holds for the cases that do not say how their images were taken.
    """
    if not isinstance(rows, list):
        return _refused("cases", "not_a_list", "`cases` is a list of objects, one for each case.")
    if not rows:
        return _refused("cases", "cases_missing", "List at least one case.")
    if len(rows) > MAX_CASES:
        return _refused("cases", "too_many_cases", TOO_MANY_CASES)
    manifest = Manifest()
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            manifest.errors.append(RowError(number, "", "not_an_object", "A case is an object with a case_id."))
            continue
        if case := _read(number, _taken(row, capture), manifest.errors):
            manifest.cases.append(case)
        case_id = _case_id(row)
        if case_id and first.setdefault(case_id, number) != number:
            message = f"Row {first[case_id]} has the same case_id. Give each case its own."
            manifest.errors.append(RowError(number, "case_id", "case_id_repeated", message))
    return manifest


def of_request(found: Manifest) -> Manifest:
    """The same manifest, refused where it is of more cases or images than one request brings."""
    if len(found.cases) > MAX_CASES:
        return _refused("cases", "too_many_cases", TOO_MANY_CASES)
    if sum(len(case.filenames) for case in found.cases) > MAX_IMAGES:
        message = f"Send at most {MAX_IMAGES} images in a request, and add the rest to the batch with another."
        return _refused(IMAGES, "too_many_images", message)
    return found


def _case_id(row: Mapping[str, Any]) -> str:
    """The id that a row gives its case, whatever else is wrong with the row; empty where it cannot be read."""
    try:
        return READERS["case_id"](row.get("case_id")) or ""
    except FieldError:
        return ""


def _taken(row: Mapping[str, Any], capture: str) -> Mapping[str, Any]:
    return row if row.get("capture") not in (None, "") else {**row, "capture": capture}


def from_csv(data: bytes, *, capture: str = "") -> Manifest:
    """The manifest in a CSV file: UTF-8, parted by commas, semicolons or tabs, with a header.

    `capture` holds for the rows that do not say how their image was taken.
    """
    if len(data) > MAX_CSV_BYTES:
        return _refused("", "manifest_too_large", f"The table is larger than {MAX_CSV_BYTES // 1024**2} MB. Split it.")
    try:
        data.decode("utf-8-sig")  # and not kept: with one rare character, text takes four times its bytes
    except UnicodeDecodeError:
        return _refused("", "not_utf8", "The table is not UTF-8. Save it as 'CSV UTF-8' and send it again.")
    try:
        return _from_table(data, capture)
    except UnreadableRowError as unreadable:
        message = f"{unreadable} cannot be read as CSV: a quote is not closed, or text follows it. Write a quote "
        message += "within quotes twice, or save the table as 'CSV UTF-8', and send it again."
        return _refused("", "not_csv", message, row=unreadable.row)


def _from_table(data: bytes, capture: str) -> Manifest:
    if not data.removeprefix(BOM_UTF8).strip():
        return _refused("", "table_empty", "The table is empty. Send a header, and below it a row for each image.")
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    delimiter = max(",;\t", key=text.readline().count)
    text.seek(0)
    reader = _rows(text, delimiter)
    _, header_cells = next(reader)
    names = [name.strip().lower().replace(" ", "_") for name in header_cells]
    if len(names) > MAX_COLUMNS:
        return _refused("", "too_many_columns", f"The table has more than {MAX_COLUMNS} columns. Remove some.")
    columns = [ALIASES.get(name, name) for name in names]
    manifest = Manifest(errors=_check_columns(columns))
    if manifest.errors:
        return manifest
    rows: list[tuple[int, dict[str, Any]]] = []
    for number, cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if number > MAX_ROWS:
            return _refused("", "too_many_rows", f"The table has more than {MAX_ROWS} rows. Split it.")
        if len(cells) != len(columns):
            advice = "Quote cells with commas." if len(cells) > len(columns) else "Leave a cell empty, not out."
            message = f"This row has {counted(len(cells), 'cell')} and the header has {len(columns)}. {advice}"
            manifest.errors.append(RowError(number, "", "wrong_cells", message))
            continue
        rows.append((number, _complete(dict(zip(columns, cells, strict=True)), capture)))
    _name_cases([row for _, row in rows])
    merged: dict[str, CaseSpec] = {}
    for number, row in rows:
        if case := _read(number, row, manifest.errors):
            _merge(merged, number, case, manifest.errors)
    manifest.errors.sort(key=attrgetter("row"))
    manifest.cases.extend(merged.values())
    if not manifest.cases and not manifest.errors:
        return _refused("", "rows_missing", "The table has a header and no row below it. Add a row for each image.")
    return manifest


def _check_columns(columns: Sequence[str]) -> list[RowError]:
    errors = []
    for name in columns:
        if name not in COLUMNS and name not in UNREAD:
            errors.append(RowError(1, name[:100], "unknown_column", unknown(name)))
    for name in {name for name in columns if columns.count(name) > 1} - UNREAD:
        errors.append(RowError(1, name, "column_repeated", "Keep one column of this meaning."))
    if IMAGES not in columns:
        message = "Add a column `images` with the name of each image file."
        errors.append(RowError(1, IMAGES, "column_missing", message))
    return errors


def _rows(text: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row's number, from 1, and its cells. Raises UnreadableRowError."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    for number in count(1):
        line = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableRowError(number, line) from error


def _complete(row: dict[str, str], capture: str) -> dict[str, Any]:
    """A row of a table as JSON would have it, with one image too many at most; its case_id may be empty still."""
    images = [name.strip() for name in row.get(IMAGES, "").split(";") if name.strip()][: MAX_IMAGES_OF_CASE + 1]
    known = {name: value for name, value in row.items() if name in READERS}
    taken = row.get("capture", "").strip() or capture
    return {**known, "case_id": row.get("case_id", "").strip(), "capture": taken, IMAGES: images}


def _name_cases(rows: Sequence[dict[str, Any]]) -> None:
    """Give each row without the id that published tables leave out one of its own, by its first image."""
    unnamed = [row for row in rows if row[IMAGES] and not row["case_id"]]
    images = list(dict.fromkeys(row[IMAGES][0] for row in unnamed))
    ids = dict(zip(images, case_ids(images, given=[row["case_id"] for row in rows]), strict=True))
    for row in unnamed:
        row["case_id"] = ids[row[IMAGES][0]]


def _read(number: int, row: Mapping[str, Any], errors: list[RowError]) -> CaseSpec | None:
    """The case of one row, or None and its mistakes added to `errors`."""
    before = len(errors)
    values: dict[str, Any] = {}
    for name, read in READERS.items():
        try:
            values[name] = read(row.get(name))
        except FieldError as error:
            errors.append(RowError(number, name, error.code, error.message))
    try:
        filenames = read_images(row.get(IMAGES))
    except FieldError as error:
        errors.append(RowError(number, IMAGES, error.code, error.message))
    for name in sorted(row.keys() - READERS.keys() - {IMAGES})[:MAX_UNKNOWN]:
        errors.append(RowError(number, str(name)[:100], "unknown_field", unknown(name)))
    if len(errors) > before:
        return None
    return CaseSpec(external_id=values.pop("case_id"), filenames=filenames, rows=[number] * len(filenames), **values)


def _merge(merged: dict[str, CaseSpec], number: int, case: CaseSpec, errors: list[RowError]) -> None:
    """Add a table's row to the case that it names, or begin that case."""
    known = merged.setdefault(case.external_id, case)
    if known is case:
        return
    if replace(known, filenames=()) != replace(case, filenames=()):
        message = f"Row {known.rows[0]} says something else of this case. Give another case its own case_id."
        errors.append(RowError(number, "case_id", "case_id_conflict", message))
        return
    try:
        filenames = read_images([*known.filenames, *case.filenames])
    except FieldError as error:
        errors.append(RowError(number, IMAGES, error.code, error.message))
        return
    merged[case.external_id] = replace(known, filenames=filenames, rows=[*known.rows, *case.rows])


def _refused(name: str, code: str, message: str, *, row: int = 1) -> Manifest:
    return Manifest(errors=[RowError(row, name, code, message)])
