"""A fitted segmentation network, loaded from its folder: frames in, outlines out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml.imaging.preprocess import Size
from ml.integrity import damaged
from ml.preparation import SEGMENTERS
from ml.segmentation import outline

MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "segmenter.npz"
SEEN: Final = "seen.npy"
CARD: Final = "model_card.md"


def shipped() -> Path:
    """The folder of the segmenter that comes with the code: the newest, by name. Raises FileNotFoundError."""
    folders = sorted(path.parent for path in SEGMENTERS.glob(f"*/{MANIFEST}"))
    if not folders:
        raise FileNotFoundError(f"No segmenter in {SEGMENTERS}.")
    return folders[-1]


def input_size(folder: Path) -> Size:
    """The (width, height) that the segmenter in a folder sees."""
    told = json.loads((folder / MANIFEST).read_text())["input"]
    return int(told["width"]), int(told["height"])


class Segmenter:
    """The network in a folder that `ml.segmentation.train` wrote. `manifest` is its `manifest.json` as read; `model` is
    that of `ml.segmentation.network`, and `size` the (width, height) that it sees.

    Raises FileNotFoundError for another folder, WeightsError for weights that are damaged or do not fit.
    """

    def __init__(self, folder: Path) -> None:
        from ml.networks import weights
        from ml.segmentation import network

        if not (folder / MANIFEST).is_file():
            raise FileNotFoundError(f"{folder} holds no {MANIFEST}: it is not a segmenter.")
        self.manifest: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text())
        if broken := damaged([folder / self.manifest["weights"], folder / SEEN]):
            raise weights.WeightsError(f"{folder}: {', '.join(broken)} damaged: copy the segmenter again.")
        self.size = input_size(folder)
        self.model = network.build(self.size)
        weights.load(self.model, folder / self.manifest["weights"])
        self.seen = np.asarray(np.load(folder / SEEN))
        """Fingerprints of every image that it was fitted to or chosen on: uint64 (n, 4)."""

    def logits(self, frames: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """For each frame, uint8 RGB (rows, columns, 3), the log-odds that a place is lesion: float32 (n, height,
        width) at the network's own size.
        """
        return outline.log_odds(self.model.predict_on_batch, frames, self.size)

    def masks(self, frames: np.ndarray) -> np.ndarray:
        """Where the lesion is in each frame, uint8 RGB (n, rows, columns, 3): bool (n, rows, columns)."""
        return outline.masks(self.model.predict_on_batch, frames, self.size)
