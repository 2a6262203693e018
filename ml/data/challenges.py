"""The ISIC challenges of 2018 (task 3) and 2019: a one-hot ground truth, tables about the same images, and the images
in folders or ZIP files.

Sources: Codella et al., "Skin Lesion Analysis Toward Melanoma Detection 2018", arXiv:1902.03368; Combalia et al.,
"BCN20000: Dermoscopic Lesions in the Wild", arXiv:1908.02288, for 2019 together with HAM10000 and MSK.
"""

from pathlib import Path
from typing import Final

import pandas as pd

from ml.classes import EIGHT, SEVEN
from ml.data.errors import DataError
from ml.data.images import ImageStore, sources_in
from ml.data.table import Dataset, build, read_table, tables_in

TRUTH_2018: Final = "ISIC2018_Task3_*_GroundTruth.csv"
CLASSES_2018: Final = SEVEN.codes
GROUPINGS_2018: Final = "ISIC2018_Task3_*_LesionGroupings.csv"

TRUTH_2019: Final = "ISIC_2019_*_GroundTruth.csv"
CLASSES_2019: Final = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
METADATA_2019: Final = "ISIC_2019_*_Metadata.csv"

CONFIRMED: Final[dict[str, str]] = {
    "histopathology": "histo",
    "serial imaging showing no change": "follow_up",
    "single image expert consensus": "consensus",
    "confocal microscopy with consensus dermoscopy": "confocal",
}
"""From `diagnosis_confirm_type` of ISIC 2018 to the `dx_type` of HAM10000."""


def read_2018(folder: Path) -> Dataset:
    """ISIC 2018, task 3: training, validation or test, or several of them as one. Without the table of lesion
    groupings, each image is a lesion of its own.

    Raises DataError: `no_table`, `missing_columns`, `no_images`, `no_image_source`.
    """
    frame = _truth(folder, TRUTH_2018, CLASSES_2018)
    groupings = _tables(folder, GROUPINGS_2018, ("image", "lesion_id"))
    if groupings:
        frame = frame.merge(pd.concat(groupings), on="image", how="outer")
    if "diagnosis_confirm_type" in frame:
        frame["dx_type"] = frame["diagnosis_confirm_type"].str.lower().replace(CONFIRMED)
    frame = frame.rename(columns={"image": "image_id"})
    return build(frame, ImageStore(*sources_in(folder)), SEVEN, lone_images=True)


def read_2019(folder: Path) -> Dataset:
    """ISIC 2019: eight classes. Its column UNK, for none of them, is counted as `unknown_class`; an image without a
    lesion id is a lesion of its own.

    Raises DataError: `no_table`, `missing_columns`, `no_images`, `no_image_source`.
    """
    frame = _truth(folder, TRUTH_2019, CLASSES_2019)
    metadata = _tables(folder, METADATA_2019, ("image",))
    if metadata:
        frame = frame.merge(pd.concat(metadata), on="image", how="outer")
    frame = frame.rename(columns={"image": "image_id", "age_approx": "age", "anatom_site_general": "site"})
    return build(frame, ImageStore(*sources_in(folder)), EIGHT, lone_images=True)


def _tables(folder: Path, pattern: str, columns: tuple[str, ...]) -> list[pd.DataFrame]:
    return [read_table(path, columns) for path in tables_in(folder, pattern)]


def _truth(folder: Path, pattern: str, codes: tuple[str, ...]) -> pd.DataFrame:
    """`image` and `dx` from every ground truth; a row that marks no class, or several, gets none."""
    tables = _tables(folder, pattern, ("image", *codes))
    if not tables:
        raise DataError("no_table", f"{folder} holds no {pattern}.")
    frame = pd.concat(tables, ignore_index=True)
    marked = frame[list(codes)].apply(pd.to_numeric, errors="coerce") == 1
    dx = marked.idxmax(axis="columns").where(marked.sum(axis="columns") == 1)
    return pd.DataFrame({"image": frame["image"], "dx": dx})
