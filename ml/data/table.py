"""One table for every labelled data set, and what was wrong with the rows that could not be used."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from ml.classes import Taxonomy
from ml.data.errors import DataError
from ml.data.images import ImageStore

COLUMNS: Final[tuple[str, ...]] = (
    "image_id",  # unique; names the image in the store
    "lesion_id",  # images of one lesion share it
    "patient_id",  # empty where the data set does not say
    "dx",  # a code of the data set's taxonomy in ml.classes
    "dx_type",  # how the label was made: histo, follow_up, consensus, confocal, or empty
    "age",  # years, float, NaN where missing
    "sex",  # male, female, or empty
    "site",  # anatomical site in the data set's words, or empty
    "size_mm",  # longest diameter in millimetres, float, NaN where missing
    "split",  # train, validation, test, or empty before splitting
)
SPLITS: Final[tuple[str, ...]] = ("train", "validation", "test")

SET_ASIDE: Final = ("duplicate_image_id", "missing_lesion_id", "missing_file", "missing_class", "unknown_class")
"""Problems for which `build` leaves a row out."""

SAME_CLASS: Final[dict[str, str]] = {"AK": "AKIEC"}
"""ISIC 2019 writes AK for what ISIC 2018 and HAM10000 write AKIEC."""


@dataclass(frozen=True)
class Dataset:
    """`table` has the columns COLUMNS, one row for each usable image, its `dx` a code of `taxonomy`; `images` reads
    them; `problems` counts the rows set aside or incomplete, and `unknown` those of its `unknown_class` by their
    label; `details` reads sharper copies of the middle of some images, for `ml.data.examples.load`.
    """

    table: pd.DataFrame
    images: ImageStore
    problems: dict[str, int]
    taxonomy: Taxonomy
    details: ImageStore | None = None
    unknown: dict[str, int] = field(default_factory=dict)

    def split(self, name: str) -> pd.DataFrame:
        """The rows of one split, in a stable order."""
        return self.table[self.table["split"] == name].reset_index(drop=True)


def tables_in(folder: Path, pattern: str) -> list[Path]:
    """The tables of that name in the folder, and one level below, as the challenges' ZIP files unpack; each sorted."""
    return [*sorted(folder.glob(pattern)), *sorted(folder.glob(f"*/{pattern}"))]


def lacking(path: Path, columns: Iterable[str]) -> list[str]:
    """Those of `columns` that the header of a CSV file does not have, sorted: all of them where it is no CSV."""
    return sorted(set(columns) - _header(path))


def how_to_save(path: Path) -> str:
    """What to do about a table whose columns cannot be told apart, to stand behind what it lacks; else empty."""
    return "" if len(_header(path)) > 1 else ": save it as a CSV file in UTF-8, its columns parted by commas"


def _header(path: Path) -> set[str]:
    try:
        return set(pd.read_csv(path, nrows=0).columns)
    except ValueError:  # what pandas raises for an empty or binary file
        return set()


def read_table(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """A CSV file with every value as written, str, NaN where empty. Raises DataError: `missing_columns` where one of
    `columns` is not there, `unreadable_table`.
    """
    if missing := lacking(path, columns):
        raise DataError("missing_columns", f"{path.name} lacks the columns {', '.join(missing)}{how_to_save(path)}.")
    try:
        return pd.read_csv(path, dtype=str)
    except UnicodeDecodeError:
        raise DataError("unreadable_table", f"{path.name} is not in UTF-8: save it as a CSV file in UTF-8.") from None
    except ValueError as error:
        raise DataError("unreadable_table", f"{path.name} is no sound CSV file: {str(error).strip()}") from None


def build(
    frame: pd.DataFrame,
    images: ImageStore,
    taxonomy: Taxonomy,
    *,
    lone_images: bool = False,
    counted: Mapping[str, int] | None = None,
) -> Dataset:
    """Brings a frame into the schema, checks it and counts every problem by name; nothing is dropped silently.

    Rows are set aside for the problems of SET_ASIDE; `missing_age`, `missing_sex`, `missing_site` only count, and so
    does `missing_size` where the frame has sizes. An `unknown_class` is one that the taxonomy does not have. With
    `lone_images`, an image without a lesion id is a lesion of its own, counted as `image_as_lesion`. Classes are
    written in any case. `counted` are problems found before. Raises DataError (`no_images`) when no row is left.
    """
    table = frame.reindex(columns=list(COLUMNS)).copy()
    for column in ("image_id", "lesion_id", "patient_id", "dx", "dx_type", "sex", "site", "split"):
        table[column] = table[column].astype(object).fillna("").astype(str).str.strip()
    for column in ("age", "size_mm"):
        table[column] = pd.to_numeric(table[column], errors="coerce").astype(float)
    for column in ("sex", "site"):
        table.loc[table[column].str.lower() == "unknown", column] = ""
    written = table["dx"]
    table["dx"] = written.str.upper().replace(SAME_CLASS)

    alone = (table["lesion_id"] == "") & lone_images
    table.loc[alone, "lesion_id"] = table.loc[alone, "image_id"]
    problems: Counter[str] = Counter(counted or {})
    unusable = (
        table["image_id"].duplicated(),
        table["lesion_id"] == "",
        ~table["image_id"].isin(images.ids()),
        table["dx"] == "",
        ~table["dx"].isin(taxonomy.codes),
    )
    keep = pd.Series(True, index=table.index)
    for name, rows in zip(SET_ASIDE, unusable, strict=True):
        problems[name] = int((rows & keep).sum())
        if name == "unknown_class":
            unknown = {str(label): int(count) for label, count in written[rows & keep].value_counts().items()}
        keep &= ~rows
    problems["image_as_lesion"] = int((alone & keep).sum())
    table = table[keep].reset_index(drop=True)
    for name in ("age", "sex", "site"):
        problems[f"missing_{name}"] = int((table[name].isna() | (table[name] == "")).sum())
    if "size_mm" in frame:
        problems["missing_size"] = int(table["size_mm"].isna().sum())
    if table.empty:
        counts = ", ".join(f"{name} {count}" for name, count in problems.items() if count)
        labels = f" Known classes are {', '.join(taxonomy.codes)}, not {', '.join(unknown)}." if unknown else ""
        raise DataError(
            "no_images",
            f"No row of the table can be used ({counts or 'it is empty'}).{labels} Check the table and the image "
            "folder.",
        )
    told = {name: count for name, count in problems.items() if count}
    return Dataset(table, images, told, taxonomy, unknown=unknown)
