"""The immutable table that a retraining learns from: labels that people gave, with the split of each patient decided
before.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from ml.classes import CLASSES, SEVEN
from ml.data.errors import DataError
from ml.data.images import ImageStore
from ml.data.splits import groups
from ml.data.table import SPLITS, Dataset, build

COLUMNS: Final = ("image_id", "lesion_id", "patient_id", "dx", "split", "sha256", "drawn")


def read(path: Path, images: Path) -> Dataset:
    """Reads `snapshot.csv` with COLUMNS and its images at `<images>/<image_id>.jpg`; `sha256` is that of the file as
    it was sent in, for tracing. `drawn` is `yes` where chance chose the image from all that there were, `no` where
    something else did, such as a model's doubt; the table has it as a bool, beside its schema. A lesion that nobody
    named stands as one under its `patient_id`, or where that is empty too under its `image_id`.

    A snapshot is complete and consistent, or it is refused. Raises DataError: `missing_columns`, `unknown_class`,
    `unknown_split`, `unknown_drawn`, `leaking_split` (a lesion or patient on two sides), `missing_images`,
    `unusable_rows` (an id that comes twice, or no lesion), `no_images`, `no_snapshot`.
    """
    if not path.is_file():
        raise DataError("no_snapshot", f"{path} is not a file: name a table with the columns {', '.join(COLUMNS)}.")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := sorted(set(COLUMNS) - set(frame.columns)):
        raise DataError("missing_columns", f"{path.name} lacks the columns {', '.join(missing)}.")
    if unknown := sorted(set(frame["dx"]) - set(CLASSES)):
        raise DataError(
            "unknown_class", f"{path.name} has the classes {', '.join(unknown)}; known are {', '.join(CLASSES)}."
        )
    if unknown := sorted(set(frame["split"]) - set(SPLITS)):
        raise DataError(
            "unknown_split", f"{path.name} has the splits {', '.join(unknown)}; known are {', '.join(SPLITS)}."
        )
    if unknown := sorted(set(frame["drawn"]) - {"yes", "no"}):
        raise DataError("unknown_drawn", f"{path.name} has {', '.join(unknown)} as `drawn`; known are yes and no.")
    twice, alone = int(frame["image_id"].duplicated().sum()), int((frame["lesion_id"].str.strip() == "").sum())
    if twice or alone:
        raise DataError(
            "unusable_rows", f"In {path.name}, {twice} image_id come again, and {alone} rows have no lesion_id."
        )
    leaking = int((frame["split"].groupby(groups(frame)).nunique() > 1).sum())
    if leaking:
        raise DataError("leaking_split", f"{leaking} lesions or patients of {path.name} are in more than one split.")
    store = ImageStore(images)
    absent = set(frame["image_id"]) - set(store.ids())
    if absent:
        raise DataError(
            "missing_images", f"{len(absent)} images of {path.name} are not in {images}, {min(absent)} for one."
        )
    dataset = build(frame, store, SEVEN)
    drawn = dataset.table["image_id"].isin(frame["image_id"][frame["drawn"] == "yes"])
    return replace(dataset, table=dataset.table.assign(drawn=drawn))
