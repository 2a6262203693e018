"""HAM10000 as published: `HAM10000_metadata.csv` beside folders or ZIP files of `ISIC_*.jpg`, at any resolution.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Scientific Data 2018, doi:10.7910/DVN/DBW86T, CC BY-NC
4.0.
"""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from ml.classes import SEVEN
from ml.data.errors import DataError
from ml.data.images import ImageStore, sources_in
from ml.data.table import Dataset, build, lacking, read_table, tables_in

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
    dataset = build(frame, images, SEVEN)
    return replace(dataset, details=ImageStore(*squares)) if squares else dataset


def table_path(folder: Path) -> Path:
    """The metadata table. Raises DataError `no_table`."""
    tables = tables_in(folder, TABLE)
    if not tables:
        raise DataError("no_table", f"{folder} holds no {TABLE}, such as HAM10000_metadata.csv.")
    return next((path for path in tables if not lacking(path, COLUMNS)), tables[0])


def _holds_squares(archive: Path) -> bool:
    """Whether it holds sharper copies of the middle of each frame, over its whole height, instead of whole frames."""
    store = ImageStore(archive)
    first = next(iter(store.ids()), None)
    if first is None:
        return False
    with Image.open(BytesIO(store.read(first))) as image:
        return image.width == image.height
