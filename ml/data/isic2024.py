"""ISIC 2024 (SLICE-3D): crops of 15 mm from 3D total body photographs, a metadata table, and the images in an HDF5 file
of encoded JPEGs keyed by `isic_id`, or in folders or ZIP files.

Source: Kurtansky et al., "The SLICE-3D dataset", Scientific Data 2024, doi:10.1038/s41597-024-03743-w.
"""

from pathlib import Path
from typing import Final

import pandas as pd

from ml.classes import BINARY
from ml.data.errors import DataError
from ml.data.images import ImageStore, sources_in
from ml.data.table import Dataset, build, lacking, read_table, tables_in

TABLE: Final = "*metadata*.csv"
COLUMNS: Final = ("isic_id", "target")
"""Those that one of the tables must have; the names below are read where it has them."""

NAMES: Final[dict[str, str]] = {
    "isic_id": "image_id",
    "age_approx": "age",
    "anatom_site_general": "site",
    "clin_size_long_diam_mm": "size_mm",
}
TARGETS: Final[dict[float, str]] = {0.0: "BENIGN", 1.0: "MALIGNANT"}


def read(folder: Path) -> Dataset:
    """Reads the metadata tables in `folder`, such as `train-metadata.csv`, and the images beside them. The rows of one
    without `target`, as published for the test, have no class. An image without a lesion id is a lesion of its own;
    `patient_id` says whose it is.

    Raises DataError: `no_table`, `missing_columns`, `no_images`, `no_image_source`.
    """
    tables = tables_in(folder, TABLE)
    if all(lacking(path, COLUMNS) for path in tables):
        raise DataError("no_table", f"{folder} holds no {TABLE} with the columns {', '.join(COLUMNS)}.")
    frame = pd.concat((read_table(path, COLUMNS[:1]) for path in tables), ignore_index=True).rename(columns=NAMES)
    target = frame["target"]
    frame["dx"] = pd.to_numeric(target, errors="coerce").map(TARGETS).fillna(target)
    return build(frame, ImageStore(*sources_in(folder)), BINARY, lone_images=True)
