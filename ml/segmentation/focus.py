"""What a lesion's outline is used for: to show a classifier the lesion alone, and to ask where its heat lies."""

from typing import Final

import cv2
import numpy as np

MARGIN: Final = 0.06
"""Skin kept around the lesion, as a share of the frame's width: the border is evidence."""

FADE: Final = 0.04
"""The width over which the rest fades, in the same unit: a hard edge would be a border of its own."""


def masked(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The lesion and a margin as they are, and beyond them the mean colour of the skin: uint8 RGB (rows, columns, 3).

    `pixels` is uint8 RGB (rows, columns, 3), `mask` bool (rows, columns). The picture comes back unchanged where the
    mask is empty, since nothing is known of where the lesion lies, and where the margin leaves no skin.
    """
    if not mask.any():
        return pixels.copy()
    width = pixels.shape[1]
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = np.clip((away - MARGIN * width) / (FADE * width), 0, 1)[..., None]
    skin = away > MARGIN * width
    if not skin.any():
        return pixels.copy()
    blended = pixels * (1 - beyond) + pixels[skin].mean(axis=0) * beyond
    return np.asarray(blended.round(), dtype=np.uint8)


def heat_inside(heatmap: np.ndarray, mask: np.ndarray) -> float:
    """The share of a heatmap's mass that lies inside the lesion, from 0 to 1; NaN for a heatmap without heat.

    `heatmap` is float (rows, columns), not negative, and `mask` bool, of any resolution: both cover the same picture,
    and each cell counts by the share of it that is lesion.
    """
    rows, columns = heatmap.shape
    covered = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    total = float(heatmap.sum())
    return float((heatmap * covered).sum() / total) if total else float("nan")
