"""Model inputs and fingerprints for the rows of a table, decoded in threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ml.data.images import ImageStore
from ml.imaging.decode import decode
from ml.imaging.fingerprint import WORDS, fingerprint
from ml.imaging.preprocess import Size, preprocess
from ml.imaging.refusal import ImageRefused


@dataclass(frozen=True)
class Loaded:
    """`pixels` uint8 (n, height, width, 3) and `fingerprints` uint64 (n, 4) for the ids that could be read; `refused` names the others with a code."""

    ids: list[str]
    pixels: np.ndarray
    fingerprints: np.ndarray
    refused: dict[str, str]


def load(
    images: ImageStore, ids: Sequence[str], size: Size, threads: int = 2, advance: Callable[[], None] = lambda: None
) -> Loaded:
    """Reads, decodes and preprocesses `ids`; `advance` is called once for each. An image that cannot be read is named, never an end."""

    def one(image_id: str) -> tuple[np.ndarray, np.ndarray] | str:
        try:
            image = decode(images.read(image_id)).image
        except KeyError:
            return "missing_file"
        except ImageRefused as error:
            return error.code
        return preprocess(image, size), fingerprint(image)

    width, height = size
    pixels = np.empty((len(ids), height, width, 3), dtype=np.uint8)
    prints = np.empty((len(ids), WORDS), dtype=np.uint64)
    kept: list[str] = []
    refused: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        for image_id, answer in zip(ids, pool.map(one, ids), strict=True):
            advance()
            if isinstance(answer, str):
                refused[image_id] = answer
            else:
                pixels[len(kept)], prints[len(kept)] = answer
                kept.append(image_id)
    return Loaded(kept, pixels[: len(kept)], prints[: len(kept)], refused)
