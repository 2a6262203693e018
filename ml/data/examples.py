"""What a model learns from or is measured on: pixels, labels, lesions and fingerprints for the rows of a table."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from ml.classes import SEVEN, Taxonomy
from ml.data.details import draw, sharpen
from ml.data.images import ImageStore
from ml.imaging.decode import decode
from ml.imaging.fingerprint import WORDS, fingerprint
from ml.imaging.preprocess import Size, finished, framed, scaled
from ml.imaging.refusal import ImageRefused

DECODERS: Final = 2


@dataclass(frozen=True)
class Examples:
    """n images: `pixels` uint8 (n, height, width, 3), `labels` int64 (n,) into the codes of a taxonomy, `lesions` ids
    (n,), `fingerprints` uint64 (n, 4).

    `refused` names the rows that could not be read, with a code of `ml.imaging.refusal`. `rows` is the table of the
    others, in `ml.data.table`'s schema and indexed 0 to n - 1, for measuring by sex, age, site or `dx_type`; it has no
    columns for images that came from no table.
    """

    pixels: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    fingerprints: np.ndarray
    refused: dict[str, str] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Examples":
        """Those of a boolean or integer index."""
        return Examples(
            self.pixels[rows],
            self.labels[rows],
            self.lesions[rows],
            self.fingerprints[rows],
            rows=self.rows.reindex(np.arange(len(self))[rows]).reset_index(drop=True),
        )


def load(
    table: pd.DataFrame,
    images: ImageStore,
    size: Size,
    advance: Callable[[], object] = lambda: None,
    *,
    taxonomy: Taxonomy = SEVEN,
    details: ImageStore | None = None,
) -> Examples:
    """Reads, decodes and preprocesses the rows of a table in `ml.data.table`'s schema; `advance` is called once for
    each. Labels index the codes of `taxonomy`, that of the data set.

    `details` are the data set's sharper copies, for a train split or to see what they change: in some images, drawn at
    one rate in every class, one replaces the middle of the frame. Fingerprints are those of the photos themselves.

    An image that cannot be read, or whose copy cannot, is named in `refused`, never an end. Raises KeyError for an id
    that the store does not have, or a class that the taxonomy does not have.
    """
    labels = np.array([taxonomy.index[dx] for dx in table["dx"]], dtype=np.int64)
    use_copy = np.zeros(len(table), dtype=bool) if details is None else draw(table, details)

    def one(image_id: str, copies: ImageStore | None) -> tuple[np.ndarray, np.ndarray] | str:
        try:
            image = decode(images.read(image_id)).image
            pixels = scaled(image, size)
            if copies is not None:
                pixels = sharpen(pixels, decode(copies.read(image_id)).image)
        except ImageRefused as error:
            return error.code
        # Finished last: a copy is as black around a field, and as dim, as its photo.
        return framed(finished(pixels), size), fingerprint(image)

    width, height = size
    pixels = np.empty((len(table), height, width, 3), dtype=np.uint8)
    prints = np.empty((len(table), WORDS), dtype=np.uint64)
    kept: list[int] = []
    refused: dict[str, str] = {}
    copies = [details if use else None for use in use_copy]
    with ThreadPoolExecutor(DECODERS) as pool:
        for row, answer in enumerate(pool.map(one, table["image_id"], copies)):
            advance()
            if isinstance(answer, str):
                refused[table["image_id"].iloc[row]] = answer
            else:
                pixels[len(kept)], prints[len(kept)] = answer
                kept.append(row)
    rows = table.iloc[kept].reset_index(drop=True)
    lesions = rows["lesion_id"].to_numpy(dtype=str)
    return Examples(pixels[: len(kept)], labels[kept], lesions, prints[: len(kept)], refused, rows)
