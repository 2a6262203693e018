"""HAM10000 as published: `HAM10000_metadata.csv` beside folders or ZIP files of `ISIC_*.jpg`, at any resolution.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Scientific Data 2018, doi:10.7910/DVN/DBW86T, CC BY-NC
4.0.
"""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Final

from ml.classes import SEVEN
from ml.data.errors import DataError
from ml.data.images import ImageStore, sources_in
from ml.data.table import Dataset, build, lacking, read_table, tables_in
from ml.imaging.decode import decode
from ml.imaging.refusal import ImageRefused

TABLE: Final = "*metadata*.csv"
COLUMNS: Final = ("image_id", "lesion_id", "dx")
"""Those that a table must have; `dx_type`, `age`, `sex` and `localization` are read where it has them."""

ATTRIBUTION = (
    "Trained on HAM10000 (Tschandl, Rosendahl, Kittler, The HAM10000 dataset, Scientific Data 2018, "
    "doi:10.7910/DVN/DBW86T), "
    "licensed CC BY-NC 4.0: attribution required, no commercial use."
)


def read(folder: Path) -> Dataset:
    """Reads the metadata table in `folder` and the images beside it. ZIP files of square images become
    `Dataset.details`.

    Raises DataError: `no_table` when the folder has no metadata CSV, `missing_columns`, `no_images`.
    """
    path = table_path(folder)
    frame = read_table(path, COLUMNS).rename(columns={"localization": "site"})
    squares = [source for source in sources_in(folder) if source.suffix.lower() == ".zip" and _holds_squares(source)]
    images = ImageStore(*(source for source in sources_in(folder) if source not in squares))
    if squares and not images.ids():
        raise DataError(
            "no_images",
            f"{folder} holds no whole frames: {' and '.join(path.name for path in squares)} has square images, "
            "taken for sharper copies of their middle. Add the frames, or unpack the squares to use them as images.",
        )
    dataset = build(frame, images, SEVEN)
    return replace(dataset, details=ImageStore(*squares)) if squares else dataset


def table_path(folder: Path) -> Path:
    """The metadata table. Raises DataError `no_table`."""
    tables = tables_in(folder, TABLE)
    if not tables:
        raise DataError("no_table", f"{folder} holds no {TABLE}, such as HAM10000_metadata.csv.")
    return next((path for path in tables if not lacking(path, COLUMNS)), tables[0])


def _holds_squares(archive: Path) -> bool:
    """Whether it holds sharper copies of the middle of each frame, over its whole height, instead of whole frames: as
    the first image that can be read says.
    """
    store = ImageStore(archive)
    for image_id in store.ids():
        with contextlib.suppress(ImageRefused):
            first = decode(store.read(image_id))
            return first.width == first.height
    return False
