"""The one road from a decoded photo to the pixels that a model sees, shared by training and serving.

The whole photo is kept and never squeezed: HAM10000 is 4:3 landscape, so a portrait photo is turned a quarter, and a
photo of another shape, such as a square crop, is completed to 4:3 by its own mirror image, and so is the black around a
dermatoscope's round field (see `ml.imaging.field`); a dim one is made brighter (`ml.imaging.light`). Scaling to [-1, 1]
happens inside the model, so that what travels is uint8.
"""

from typing import Final

import cv2
import numpy as np
from PIL import Image

from ml.imaging.field import completed
from ml.imaging.light import brightened

VERSION: Final = "frame-4x3-v6"
"""Stored with every bundle and every result; changes whenever the pixels that come out would."""

Size = tuple[int, int]
"""(width, height) of a landscape frame."""

FRAME: Final[Size] = (256, 192)
"""Members look at it whole and, enlarged, at its middle: see `ml.networks.members.serving`."""

ALMOST: Final = 0.03
"""A photo whose shape differs from the frame's by less than this is stretched to it, so that rounding adds no
border.
"""


def fit(image: Image.Image | np.ndarray, size: Size = FRAME) -> np.ndarray:
    """The photo as large as it fits into the frame, in its own orientation and shape, without a black surround and lit.

    `image` is RGB with its EXIF orientation already applied, a picture or its pixels. Gives uint8 RGB (rows, columns,
    3): (height, width) of the frame for a 4:3 landscape photo, (width, height) for a 3:4 portrait one, and less in one
    direction for any other, so that the shape still tells how the photo was held and what of the frame it fills.
    """
    return finished(scaled(image, size))


def finished(pixels: np.ndarray) -> np.ndarray:
    """What `scaled` gave, as `fit` gives it."""
    return brightened(completed(pixels))


def scaled(image: Image.Image | np.ndarray, size: Size = FRAME) -> np.ndarray:
    """As `fit`, with its surround and in its own light: what a mask needs, whose black is no surround."""
    pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    high, wide = pixels.shape[:2]
    width, height = size if wide >= high else size[::-1]
    scale = min(width / wide, height / high)
    columns, rows = max(1, round(wide * scale)), max(1, round(high * scale))
    if columns > width * (1 - ALMOST) and rows > height * (1 - ALMOST):
        columns, rows = width, height
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=smooth), np.uint8)


def framed(pixels: np.ndarray, size: Size = FRAME) -> np.ndarray:
    """What `fit` gave as a whole landscape frame, uint8 RGB (height, width, 3): a portrait is turned a quarter
    anticlockwise, and what is missing at the sides is the photo's mirror image.
    """
    upright = np.rot90(pixels) if _is_portrait(pixels.shape) else pixels
    left, right, top, bottom = _margins(upright.shape, size)
    return cv2.copyMakeBorder(upright, top, bottom, left, right, cv2.BORDER_REFLECT_101)


def unframed(grid: np.ndarray, shape: tuple[int, ...], size: Size = FRAME) -> np.ndarray:
    """Undoes `framed` for a grid that covers the frame: float32 (rows, columns) over the photo alone, as it was held.

    `shape` is that of the pixels that were framed. The grid keeps its number of cells, turned for a portrait.
    """
    portrait = _is_portrait(shape)
    rows, columns = (shape[1], shape[0]) if portrait else shape[:2]
    left, right, top, bottom = _margins((rows, columns), size)
    if left + right + top + bottom:
        grid = _window(grid, (left / size[0], top / size[1], columns / size[0], rows / size[1]))
    return np.ascontiguousarray(np.rot90(grid, k=-1)) if portrait else grid


def preprocess(image: Image.Image | np.ndarray, size: Size = FRAME) -> np.ndarray:
    """The frame for one image: uint8 RGB, shape (height, width, 3). `image` as for `fit`."""
    return framed(fit(image, size), size)


def whole(frames: np.ndarray, size: Size) -> np.ndarray:
    """Frames, uint8 (n, rows, columns, 3), at the (width, height) that a member sees: what the view `whole` of
    `ml.networks.members` does inside a network that serves.
    """
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) for frame in frames])


def _is_portrait(shape: tuple[int, ...]) -> bool:
    return shape[0] > shape[1]


def _margins(shape: tuple[int, ...], size: Size) -> tuple[int, int, int, int]:
    """What is missing left, right, top and bottom of a landscape photo of (rows, columns, …), in pixels."""
    wide, high = size[0] - shape[1], size[1] - shape[0]
    return wide // 2, wide - wide // 2, high // 2, high - high // 2


def _window(grid: np.ndarray, window: tuple[float, float, float, float]) -> np.ndarray:
    """A part of a grid, given as (left, top, width, height) in shares of it, resampled to as many cells."""
    rows, columns = grid.shape
    left, top, width, height = window
    x = (left + width * (np.arange(columns) + 0.5) / columns) * columns - 0.5
    y = (top + height * (np.arange(rows) + 0.5) / rows) * rows - 0.5
    across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return cv2.remap(grid.astype(np.float32), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
