"""The one road from a decoded photo to the pixels that a model sees, shared by training and serving.

The whole frame is kept: HAM10000 is 4:3 landscape, so a portrait photo is turned a quarter and then resized to the
model's 4:3 input. Scaling to [-1, 1] happens inside the model, so that what travels is uint8.
"""

from typing import Final

import numpy as np
from PIL import Image

VERSION: Final = "frame-4x3-v1"
"""Stored with every bundle and every result; changes whenever the pixels that come out would."""

Size = tuple[int, int]
"""(width, height) of a model's landscape input."""

DEFAULT_SIZE: Final[Size] = (192, 144)


def fit(image: Image.Image, size: Size = DEFAULT_SIZE) -> np.ndarray:
    """The whole frame resized in its own orientation.

    `image` is RGB with its EXIF orientation already applied. Gives uint8 RGB of shape (height, width, 3) for a
    landscape or square image and (width, height, 3) for a portrait one, so that the shape still tells which way the
    photo was held.
    """
    width, height = size
    target = (height, width) if image.height > image.width else (width, height)
    resized = image.convert("RGB").resize(target, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(resized, dtype=np.uint8)


def is_portrait(pixels: np.ndarray) -> bool:
    """Whether an (rows, columns, …) array is taller than wide."""
    return bool(pixels.shape[0] > pixels.shape[1])


def landscape(pixels: np.ndarray) -> np.ndarray:
    """Turns a portrait array a quarter anticlockwise and leaves any other as it is."""
    return np.ascontiguousarray(np.rot90(pixels)) if is_portrait(pixels) else pixels


def turned_back(grid: np.ndarray) -> np.ndarray:
    """Undoes `landscape` for a grid of shape (rows, columns, …) that was computed on the turned pixels."""
    return np.ascontiguousarray(np.rot90(grid, k=-1))


def preprocess(image: Image.Image, size: Size = DEFAULT_SIZE) -> np.ndarray:
    """The model's input for one image: uint8 RGB, shape (height, width, 3), always landscape. `image` as for `fit`."""
    return landscape(fit(image, size))
