"""One table for every labelled data set, and what was wrong with the rows that could not be used."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import pandas as pd

from ml.classes import CLASSES
from ml.data.errors import DataError
from ml.data.images import ImageStore

COLUMNS: Final[tuple[str, ...]] = (
    "image_id",  # unique; names the image in the store
    "lesion_id",  # images of one lesion share it
    "patient_id",  # empty where the data set does not say
    "dx",  # an ISIC code of ml.classes
    "dx_type",  # how the label was made: histo, follow_up, consensus, confocal, or empty
    "age",  # years, float, NaN where missing
    "sex",  # male, female, or empty
    "site",  # anatomical site in the data set's words, or empty
    "split",  # train, validation, test, or empty before splitting
)
SPLITS: Final[tuple[str, ...]] = ("train", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """`table` has the columns COLUMNS, one row for each usable image; `images` reads them; `problems` counts the rows
    set aside or incomplete.
    """

    table: pd.DataFrame
    images: ImageStore
    problems: dict[str, int]

    def split(self, name: str) -> pd.DataFrame:
        """The rows of one split, in a stable order."""
        return self.table[self.table["split"] == name].reset_index(drop=True)


def build(frame: pd.DataFrame, images: ImageStore) -> Dataset:
    """Brings a frame into the schema, checks it and counts every problem by name; nothing is dropped silently.

    Rows are set aside for `duplicate_image_id`, `missing_lesion_id`, `unknown_class` and `missing_file`;
    `missing_age`, `missing_sex` and `missing_site` only count. Raises DataError (`no_images`) when no row is left.
    """
    table = frame.reindex(columns=list(COLUMNS)).copy()
    for column in ("image_id", "lesion_id", "patient_id", "dx", "dx_type", "sex", "site", "split"):
        table[column] = table[column].astype(object).fillna("").astype(str).str.strip()
    table["age"] = pd.to_numeric(table["age"], errors="coerce")
    for column in ("sex", "site"):
        table.loc[table[column].str.lower() == "unknown", column] = ""

    problems: Counter[str] = Counter()
    unusable = {
        "duplicate_image_id": table["image_id"].duplicated(),
        "missing_lesion_id": table["lesion_id"] == "",
        "unknown_class": ~table["dx"].isin(CLASSES),
        "missing_file": ~table["image_id"].isin(images.ids()),
    }
    keep = pd.Series(True, index=table.index)
    for name, rows in unusable.items():
        problems[name] = int((rows & keep).sum())
        keep &= ~rows
    table = table[keep].reset_index(drop=True)
    for column in ("age", "sex", "site"):
        missing = table[column].isna() | (table[column] == "")
        problems[f"missing_{column}"] = int(missing.sum())
    if table.empty:
        counts = ", ".join(f"{name} {count}" for name, count in problems.items() if count)
        raise DataError(
            "no_images",
            f"No row of the table can be used ({counts or 'it is empty'}). Check the table and the image folder.",
        )
    return Dataset(table, images, {name: count for name, count in problems.items() if count})
