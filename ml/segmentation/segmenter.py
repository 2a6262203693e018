"""A fitted segmentation network, loaded from its folder: frames in, outlines out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from ml.imaging.preprocess import Size
from ml.preparation import SEGMENTERS
from ml.segmentation.views import shrunk

MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "segmenter.npz"
SEEN: Final = "seen.npy"
CARD: Final = "model_card.md"
BATCH: Final = 32
FLIPS: Final = ((), (1,), (2,), (1, 2))
"""A lesion has no up: the answer is the mean over the frame and its mirror images."""


def shipped() -> Path:
    """The folder of the segmenter that comes with the code: the newest, by name. Raises FileNotFoundError."""
    folders = sorted(path.parent for path in SEGMENTERS.glob(f"*/{MANIFEST}"))
    if not folders:
        raise FileNotFoundError(f"No segmenter in {SEGMENTERS}.")
    return folders[-1]


class Segmenter:
    """The network in a folder that `ml.segmentation.train` wrote. `manifest` is its `manifest.json` as read.

    Raises FileNotFoundError for another folder, WeightsError for weights that do not fit.
    """

    def __init__(self, folder: Path) -> None:
        from ml import weights
        from ml.segmentation import network

        if not (folder / MANIFEST).is_file():
            raise FileNotFoundError(f"{folder} holds no {MANIFEST}: it is not a segmenter.")
        self.manifest: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text())
        self._size: Size = (int(self.manifest["input"]["width"]), int(self.manifest["input"]["height"]))
        self._model = network.build(self._size)
        weights.load(self._model, folder / self.manifest["weights"])
        self.seen = np.asarray(np.load(folder / SEEN))
        """Fingerprints of every image that it was fitted to or chosen on: uint64 (n, 4)."""

    def logits(self, frames: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """For each frame, uint8 RGB (rows, columns, 3), the log-odds that a place is lesion: float32 (n, height,
        width) at the network's own size.
        """
        return logits(self._model, frames, self._size)

    def masks(self, frames: np.ndarray) -> np.ndarray:
        """Where the lesion is in each frame, uint8 RGB (n, rows, columns, 3): bool (n, rows, columns)."""
        rows, columns = frames.shape[1:3]
        found = [outline(grid, (columns, rows)) for grid in self.logits(frames)]
        return np.array(found, dtype=bool).reshape(len(frames), rows, columns)


def logits(model: Any, frames: Sequence[np.ndarray] | np.ndarray, size: Size) -> np.ndarray:
    """What a model of `ml.segmentation.network` says about frames: see `Segmenter.logits`."""
    width, height = size
    answers = [np.empty((0, height, width), dtype=np.float32)]
    for start in range(0, len(frames), BATCH):
        pixels = np.stack([shrunk(frame, size) for frame in frames[start : start + BATCH]])
        turned = [np.flip(model.predict_on_batch(np.flip(pixels, axes)), axes)[..., 0] for axes in FLIPS]
        answers.append(np.mean(turned, axis=0))
    return np.concatenate(answers)


def outline(grid: np.ndarray, size: Size) -> np.ndarray:
    """Where log-odds, float32 (rows, columns), are above even odds at another size: bool (height, width)."""
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR) > 0)
