"""Lesion masks by image id, as HAM10000 publishes them: `<image_id>_segmentation.png`, white where the lesion is.

Source: Tschandl et al., Human-computer collaboration for skin cancer recognition, Nature Medicine 2020,
doi:10.1038/s41591-020-0942-0.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from ml.data import examples, ham10000, left_out, splits
from ml.data.errors import DataError
from ml.data.images import ImageStore, holds_masks
from ml.data.table import SET_ASIDE
from ml.imaging.fingerprint import matches
from ml.imaging.preprocess import FRAME

SUFFIX: Final = "_segmentation"
SPLIT_SEED: Final = 0


@dataclass(frozen=True)
class Outlined:
    """n images: their frames, `pixels` uint8 (n, rows, columns, 3), `masks` bool (rows, columns), each at its own
    resolution and over the whole image, `lesions` ids (n,) and `fingerprints` uint64 (n, 4). `refused` names the
    others, which could not be read, with a code of `ml.imaging.refusal`.
    """

    pixels: np.ndarray
    masks: list[np.ndarray]
    lesions: np.ndarray
    fingerprints: np.ndarray
    refused: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.masks)

    def unseen(self, seen: np.ndarray) -> "Outlined":
        """Without the images whose fingerprint matches one of `seen`, uint64 (m, 4)."""
        new = ~matches(self.fingerprints, seen)
        kept = [mask for mask, keep in zip(self.masks, new, strict=True) if keep]
        return replace(
            self,
            pixels=self.pixels[new],
            masks=kept,
            lesions=self.lesions[new],
            fingerprints=self.fingerprints[new],
        )


def read(folder: Path, names: Iterable[str], warn: Callable[[str], object] = lambda told: None) -> dict[str, Outlined]:
    """The named splits of HAM10000 in `folder`, by lesion; images that cannot be read are left out and named. `warn` is
    told of rows of the table that are left out.

    Raises DataError as `ml.data.ham10000.read`, `no_masks` and `missing_masks`.
    """
    dataset = ham10000.read(folder)
    if aside := {name: count for name, count in dataset.problems.items() if name in SET_ASIDE}:
        warn(f"{folder}: rows of the table left out: {left_out.counts(aside)}")
    if misnamed := left_out.misnamed(dataset):
        warn(misnamed)
    store = find(folder)
    table = splits.assign(dataset.table, SPLIT_SEED)
    sides = {}
    for name in names:
        rows = table[table["split"] == name]
        details = dataset.details if name == "train" else None
        read = examples.load(rows, dataset.images, FRAME, details=details)
        outlines = load(rows[~rows["image_id"].isin(list(read.refused))], store)
        sides[name] = Outlined(read.pixels, outlines, read.lesions, read.fingerprints, read.refused)
    return sides


def find(folder: Path) -> ImageStore:
    """The masks that lie in the data folder: its ZIP files and folders whose name says mask or segmentation.

    Raises DataError `no_masks`.
    """
    sources = [path for path in sorted(folder.iterdir()) if path.is_dir() or path.suffix.lower() == ".zip"]
    sources = [path for path in sources if holds_masks(path)]
    store = ImageStore(*sources)
    if not any(name.endswith(SUFFIX) for name in store.ids()):
        raise DataError("no_masks", f"{folder} holds no folder or ZIP file of <image_id>{SUFFIX}.png.")
    return store


def load(table: pd.DataFrame, store: ImageStore) -> list[np.ndarray]:
    """The mask of each row of the table, bool (rows, columns), at its own resolution; it covers the whole image.

    Raises DataError `missing_masks` when the store lacks one.
    """
    absent = set(table["image_id"] + SUFFIX) - set(store.ids())
    if absent:
        raise DataError("missing_masks", f"{len(absent)} images have no mask, {min(absent)} for one.")
    return [_decode(store.read(image_id + SUFFIX)) for image_id in table["image_id"]]


def _decode(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("L")) > 127
