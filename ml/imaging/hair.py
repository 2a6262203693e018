"""Dark hairs taken out of a dermoscopic picture.

Source: Lee, Ng, Gallagher, Coldman, McLean, DullRazor: a software approach to hair removal from images, Computers in
Biology and Medicine 1997: a closing by lines of several orientations finds what is dark and thin, a check of length
keeps what is hair, and the skin beside it fills the place. The fill is Telea, An image inpainting technique based on
the fast marching method, Journal of Graphics Tools 2004.
"""

from typing import Final

import cv2
import numpy as np

WIDEST: Final = 9
"""Pixels of a frame 256 wide: what is wider than this is no hair."""

THICK: Final = 5
"""Pixels across: where a disc of this size is dark, it is a clod or a hollow of the lesion, not a hair."""

SHORTEST: Final = 19
"""Pixels in which a hair runs almost straight; the lines of a pigment network are shorter."""

DARKER: Final = 14
"""Levels of red, of 255, by which a hair is darker than the skin beside it."""

TURNS: Final = 16
"""Orientations that the check of length tries, over half a turn."""


def hairs(pixels: np.ndarray) -> np.ndarray:
    """Where dark hairs are: bool (rows, columns). `pixels` is uint8 RGB, a frame about 256 wide.

    Only red is looked at: a vessel is dark in green and blue, and evidence.
    """
    red = np.ascontiguousarray(pixels[..., 0])
    closed = np.max([cv2.morphologyEx(red, cv2.MORPH_CLOSE, _line(WIDEST, turn)) for turn in _turns(4)], axis=0)
    dip = cv2.subtract(closed, red)
    wide = cv2.morphologyEx(dip, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THICK, THICK)))
    dip = cv2.subtract(dip, wide)
    long = np.max([cv2.morphologyEx(dip, cv2.MORPH_OPEN, _line(SHORTEST, turn)) for turn in _turns(TURNS)], axis=0)
    return np.asarray(long >= DARKER)


def remove_hair(pixels: np.ndarray) -> np.ndarray:
    """The picture, uint8 RGB (rows, columns, 3), with its dark hairs replaced by what lies beside them."""
    found = hairs(pixels)
    if not found.any():
        return pixels.copy()
    rim = cv2.dilate(found.astype(np.uint8), np.ones((3, 3), np.uint8))
    return cv2.inpaint(pixels, rim, 3, cv2.INPAINT_TELEA)


def _turns(count: int) -> np.ndarray:
    return np.arange(count) * np.pi / count


def _line(length: int, turn: float) -> np.ndarray:
    """A line through the middle of a square, as a structuring element: uint8 (length, length)."""
    middle = length // 2
    reach = middle * np.array([np.cos(turn), np.sin(turn)])
    ends = [tuple(int(value) for value in np.round(middle + sign * reach)) for sign in (-1, 1)]
    return cv2.line(np.zeros((length, length), np.uint8), ends[0], ends[1], 1)
