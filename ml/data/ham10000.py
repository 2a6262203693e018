"""HAM10000 as published: `HAM10000_metadata.csv` beside folders or ZIP files of `ISIC_*.jpg`, at any resolution.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Scientific Data 2018, doi:10.7910/DVN/DBW86T, CC BY-NC
4.0.
"""

from pathlib import Path

import pandas as pd
from PIL import Image

from ml.classes import HAM10000_DX
from ml.data.errors import DataError
from ml.data.images import ImageStore
from ml.data.table import Dataset, build

ATTRIBUTION = (
    "Trained on HAM10000 (Tschandl, Rosendahl, Kittler, The HAM10000 dataset, Scientific Data 2018, "
    "doi:10.7910/DVN/DBW86T), "
    "licensed CC BY-NC 4.0: attribution required, no commercial use."
)


def read(folder: Path, images: list[Path] | None = None) -> Dataset:
    """Reads the metadata table in `folder` and the images beside it, or in `images` where given.

    Raises DataError: `no_table` when the folder has no metadata CSV, `missing_columns`, `no_images`.
    """
    path = table_path(folder)
    frame = pd.read_csv(path, dtype={"image_id": str, "lesion_id": str})
    missing = {"image_id", "lesion_id", "dx"} - set(frame.columns)
    if missing:
        raise DataError("missing_columns", f"{path.name} lacks the columns {', '.join(sorted(missing))}.")
    frame["dx"] = frame["dx"].astype(str).str.lower().map(HAM10000_DX)
    frame = frame.rename(columns={"localization": "site"})
    return build(frame, ImageStore(*(images or _sources(folder))))


def table_path(folder: Path) -> Path:
    """The metadata table. Raises DataError `no_table`."""
    tables = sorted(folder.glob("*metadata*.csv"))
    if not tables:
        raise DataError("no_table", f"{folder} holds no *metadata*.csv, such as HAM10000_metadata.csv.")
    return tables[0]


def _sources(folder: Path) -> list[Path]:
    """The folder itself, then its ZIP files of whole frames. Masks are not photos, and square copies are centre
    crops, so both are left out.
    """
    archives = [path for path in sorted(folder.glob("*.zip")) if "mask" not in path.name.lower()]
    return [folder, *(path for path in archives if _holds_whole_frames(path))]


def _holds_whole_frames(path: Path) -> bool:
    store = ImageStore(path)
    first = next(iter(store.ids()), None)
    if first is None:
        return False
    width, height = _size(store, first)
    return width != height


def _size(store: ImageStore, image_id: str) -> tuple[int, int]:
    from io import BytesIO

    with Image.open(BytesIO(store.read(image_id))) as image:
        return image.size
