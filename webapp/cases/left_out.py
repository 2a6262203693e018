"""All that was left out of a batch: files and rows of its ZIP, and files that were chosen and belong to no case.

An archive's report and a batch's `left_out` are read with each look at the batch, so they have the first lines only.
The rest, a hundred thousand where a large table is wrong throughout, is read by who takes all of it away.
"""

from collections.abc import Iterator, Mapping, Sequence

from webapp import spreadsheets
from webapp.cases.models import Archive, Batch, MoreLeftOut

MAX_LISTED = 2000  # of an archive's report, and of a batch's `left_out`
AT_ONCE = 500  # of the rest, in a row of the database
COLUMNS = ("name", "code", "message")

Lines = Sequence[Mapping[str, str]]


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
        yield spreadsheets.as_csv([line[column] for column in COLUMNS] for line in lines)


def _parts(batch: Batch) -> Iterator[Lines]:
    for archive in Archive.objects.filter(batch=batch):
        yield archive.report
    yield batch.left_out
    for more in batch.more_left_out.order_by("pk").iterator(chunk_size=20):
        yield more.lines
