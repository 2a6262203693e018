"""A photo that was taken in too little light, made as bright as the dimmest that the models learnt from.

To a network a dim cancer looks harmless: with half the light the release called 21 of 100 malignant images of the
validation split harmless; after this it is 5, and 4 of the photos as they are (docs/release.md).
"""

from typing import Final

import cv2
import numpy as np

LEVEL: Final = 90
"""The percentile of a photo's brightest channel that tells how well it is lit; glare fills less than the rest."""
LEAST: Final = 180.0
"""Of 255: one in twenty of the train images of HAM10000 is dimmer."""
MOST: Final = 4.0
"""The greatest gain: what is darker still is grain."""
SAMPLED: Final = 3
"""Of every third line: that many tell the same."""


def brightened(pixels: np.ndarray) -> np.ndarray:
    """A small photo, uint8 RGB (rows, columns, 3), with all channels multiplied by what brings it to LEAST; the very
    same array where it is as bright.
    """
    level = float(np.percentile(pixels[::SAMPLED, ::SAMPLED].max(axis=2), LEVEL))
    if level >= LEAST:
        return pixels
    gain = min(MOST, LEAST / max(level, 1.0))
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=gain), np.uint8)
