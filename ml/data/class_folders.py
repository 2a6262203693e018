"""A folder for each class: its ISIC code or HAM10000's word for it, or `benign` and `malignant`, in any case."""

from pathlib import Path
from typing import Final

import pandas as pd

from ml.classes import BINARY, EIGHT, SEVEN, Taxonomy
from ml.data.errors import DataError
from ml.data.images import SUFFIXES, ImageStore, files_in
from ml.data.table import SAME_CLASS, Dataset, build, read_table

LESIONS: Final = "lesions.csv"
KNOWN: Final = frozenset({*EIGHT.codes, *SAME_CLASS, *BINARY.codes})
"""Names of folders, in upper case."""


def class_folders(folder: Path) -> list[Path]:
    """The folders in it that are named after a class, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name.upper() in KNOWN)


def read(folder: Path) -> Dataset:
    """Images of each class from its folder, at any depth; one in another folder is counted as `unknown_class`, one in
    none as `missing_class`. Files beside them whose names do not end as an image's does are counted as `other_file`.

    The data are binary where only `benign` and `malignant` are there, of eight classes with an `SCC`, else of seven.
    Each image is a lesion of its own, unless `lesions.csv` (`image_id,lesion_id`, and further columns of the schema)
    says otherwise. Raises DataError: `no_table` where no folder is named after a class, `missing_columns`,
    `no_images`.
    """
    found = class_folders(folder)
    if not found:
        raise DataError("no_table", f"{folder} holds no folder named after a class: {', '.join(sorted(KNOWN))}.")
    images = [path for path in files_in(folder) if path.suffix.lower() in SUFFIXES]
    files = [path for one in found for path in files_in(one) if not path.name.startswith(".")]
    others = {"other_file": sum(path.suffix.lower() not in SUFFIXES for path in files)}
    names = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in images]
    frame = pd.DataFrame({"image_id": [path.stem for path in images], "dx": names})
    if (folder / LESIONS).exists():
        lesions = read_table(folder / LESIONS, ("image_id", "lesion_id")).drop(columns="dx", errors="ignore")
        frame = frame.merge(lesions, on="image_id", how="outer")
    taxonomy = _taxonomy({path.name.upper() for path in found})
    return build(frame, ImageStore(folder), taxonomy, lone_images=True, counted=others)


def _taxonomy(names: set[str]) -> Taxonomy:
    if names <= set(BINARY.codes):
        return BINARY
    return EIGHT if "SCC" in names else SEVEN
