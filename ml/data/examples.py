"""What a model learns from or is measured on: pixels, labels, lesions and fingerprints for the rows of a table."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ml.classes import INDEX
from ml.data.images import ImageStore
from ml.imaging.decode import decode
from ml.imaging.fingerprint import WORDS, fingerprint
from ml.imaging.preprocess import Size, preprocess
from ml.imaging.refusal import ImageRefused


@dataclass(frozen=True)
class Examples:
    """n images: `pixels` uint8 (n, height, width, 3), `labels` int64 (n,) into CLASSES, `lesions` ids (n,),
    `fingerprints` uint64 (n, 4).

    `refused` names the rows that could not be read, with a code of `ml.imaging.refusal`.
    """

    pixels: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    fingerprints: np.ndarray
    refused: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Examples":
        """Those of a boolean or integer index."""
        return Examples(self.pixels[rows], self.labels[rows], self.lesions[rows], self.fingerprints[rows])


def load(
    table: pd.DataFrame, images: ImageStore, size: Size, advance: Callable[[], object] = lambda: None, threads: int = 2
) -> Examples:
    """Reads, decodes and preprocesses the rows of a table in `ml.data.table`'s schema; `advance` is called once for
    each.

    An image that cannot be read is named in `refused`, never an end. Raises KeyError for an id that the store does
    not have.
    """

    def one(image_id: str) -> tuple[np.ndarray, np.ndarray] | str:
        try:
            image = decode(images.read(image_id)).image
        except ImageRefused as error:
            return error.code
        return preprocess(image, size), fingerprint(image)

    width, height = size
    pixels = np.empty((len(table), height, width, 3), dtype=np.uint8)
    prints = np.empty((len(table), WORDS), dtype=np.uint64)
    kept: list[int] = []
    refused: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        for row, answer in enumerate(pool.map(one, table["image_id"])):
            advance()
            if isinstance(answer, str):
                refused[table["image_id"].iloc[row]] = answer
            else:
                pixels[len(kept)], prints[len(kept)] = answer
                kept.append(row)
    rows = table.iloc[kept]
    labels = rows["dx"].map(INDEX).to_numpy(dtype=np.int64)
    return Examples(pixels[: len(kept)], labels, rows["lesion_id"].to_numpy(dtype=str), prints[: len(kept)], refused)
