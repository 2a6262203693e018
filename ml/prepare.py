"""Frames made as a model wants them, in training and in serving alike. Apart from `ml.preparation`, since an outline
needs Keras and whoever reads a bundle does not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ml.imaging.hair import remove_hair
from ml.preparation import SEGMENTERS, Preparation

if TYPE_CHECKING:
    from ml.segmentation.segmenter import Segmenter


def prepared(frames: np.ndarray, preparation: Preparation) -> np.ndarray:
    """The frames, uint8 RGB (n, rows, columns, 3), as the model wants them: the same shape.

    Raises FileNotFoundError for a segmenter that is not there.
    """
    if preparation.remove_hair and len(frames):
        frames = np.stack([remove_hair(frame) for frame in frames])
    if preparation.segmenter and len(frames):
        frames = _alone(frames, preparation.segmenter)
    return frames


def _alone(frames: np.ndarray, segmenter: str) -> np.ndarray:
    from ml.segmentation.focus import masked

    masks = _segmenter(segmenter).masks(frames)
    return np.stack([masked(frame, mask) for frame, mask in zip(frames, masks, strict=True)])


@lru_cache(maxsize=1)
def _segmenter(name: str) -> Segmenter:
    """Loaded once, since a runtime prepares every batch."""
    from ml.segmentation.segmenter import Segmenter

    return Segmenter(SEGMENTERS / name)
