"""What a dermatoscope does not show: the black around its round field, or the black bars beside a picture.

Networks that learnt from cropped pictures take it for something of the lesion's. It is replaced by the mirror image of
what is shown, as `ml.imaging.preprocess.framed` completes a photo of another shape, so that nothing moves.
"""

from typing import Final

import cv2
import numpy as np

DARK: Final = 48
"""Of 255: no channel of the black is as bright."""
CORNER: Final = 0.02
"""How much of each corner has to be black, as a part of the longer side."""
MIN_CORNERS: Final = 3
"""A lesion darkens one corner, or two; a field that is a little to one side leaves one bright."""
MIN_SOLIDITY: Final = 0.96
"""How much of its convex hull a field fills. One with a large black lesion at its edge fills less, and is left alone;
of a smaller bite, such as a small lesion's or a hair's, what lies in the hull is kept.
"""
SPECK: Final = 0.005
"""Of the field: a part that lies apart and is smaller is something grey in the black, such as a reflection."""
MIN_SHOWN: Final = 0.2
"""What shows less of a photo is no field but a light in the dark."""
DEPTH: Final = 0.1
"""How much of the field's margin is mirrored, as a part of the longer side: a lesion seldom lies there."""
EDGE: Final = 0.015
"""How far the unsharp edge reaches into the field, as a part of the longer side."""


def completed(pixels: np.ndarray) -> np.ndarray:
    """A small photo, uint8 RGB (rows, columns, 3), with the black around its field replaced by the field's mirror
    image; the very same array where there is none.
    """
    shown = _field(pixels)
    if shown is None:
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        (~shown).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    edge = np.zeros((labels.max() + 1, 2))
    edge[labels[shown]] = np.argwhere(shown)
    nearest = edge[labels[~shown]]
    inwards = nearest - np.argwhere(~shown)
    far = np.hypot(*inwards.T)[:, None]
    reach = DEPTH * max(shown.shape)
    depth = reach - np.abs(far % (2 * reach) - reach)  # to and fro between the edge and the reach
    mirrored = np.clip(np.round(nearest + inwards / far * depth), 0, np.array(shown.shape) - 1).astype(int)
    mirrored = np.where(shown[tuple(mirrored.T)][:, None], mirrored, nearest.astype(int))
    whole = pixels.copy()
    whole[~shown] = pixels[tuple(mirrored.T)]
    return whole


def _field(pixels: np.ndarray) -> np.ndarray | None:
    """What the field shows, bool (rows, columns); None where the whole photo does."""
    longest = max(pixels.shape[:2])
    size = max(1, round(CORNER * longest))
    ends = slice(None, size), slice(-size, None)
    if sum(bool((pixels[y, x] < DARK).all()) for y in ends for x in ends) < MIN_CORNERS:
        return None
    _, parts = cv2.connectedComponents((pixels.max(axis=2) < DARK).astype(np.uint8))
    surround = np.isin(parts, np.setdiff1d(parts[[0, 0, -1, -1], [0, -1, 0, -1]], 0))
    reach = 2 * max(1, round(EDGE * longest)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    field = cv2.erode((~surround).astype(np.uint8), disc, borderValue=1)
    if field.mean() < MIN_SHOWN:
        return None
    _, parts, measures, _ = cv2.connectedComponentsWithStats(field)
    specks = np.flatnonzero(measures[:, cv2.CC_STAT_AREA] < SPECK * field.sum())
    field[np.isin(parts, specks)] = 0
    outlines, _ = cv2.findContours(field, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(outlines))
    filled = cv2.fillConvexPoly(np.zeros_like(field), hull, 1)
    return filled.astype(bool) if field.sum() >= MIN_SOLIDITY * filled.sum() else None
