"""Predictions for a folder or ZIP of images as a CSV file."""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from ml.classes import CLASSES
from ml.data.images import ImageStore
from ml.imaging.refusal import ImageRefused
from ml.runtime import Runtime

COLUMNS: Final = ("image", *CLASSES, "malignant", "uncertainty", "advice", "error")
BATCH: Final = 32


def predict(runtime: Runtime, images: ImageStore, output: Path, advance: Callable[[], object] = lambda: None) -> int:
    """Writes one row for each image, in the order of ids, and gives the number of images refused.

    An image that cannot be read has its refusal's code in `error`, and the rest of its row is empty. `advance` is
    called once for each image.
    """

    def one(image_id: str) -> np.ndarray | str:
        try:
            return runtime.prepare(images.read(image_id))
        except ImageRefused as refusal:
            return refusal.code

    ids, refused = images.ids(), 0
    with output.open("w", newline="") as file, ThreadPoolExecutor(2) as readers:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for start in range(0, len(ids), BATCH):
            names = ids[start : start + BATCH]
            prepared = list(readers.map(one, names))
            answers = iter(runtime.predict([pixels for pixels in prepared if not isinstance(pixels, str)]))
            for name, pixels in zip(names, prepared, strict=True):
                advance()
                if isinstance(pixels, str):
                    refused += 1
                    table.writerow([name, *[""] * (len(COLUMNS) - 2), pixels])
                    continue
                answer = next(answers)
                numbers = [*answer.probabilities.values(), answer.malignant, answer.uncertainty]
                table.writerow([name, *(f"{number:.6f}" for number in numbers), answer.advice.value, ""])
    return refused
