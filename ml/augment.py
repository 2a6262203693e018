"""Random views of a lesion: strong geometry, since a lesion has no up, mild colour, since colour is evidence, and now
and then the faults of a phone's photo, which are not.
"""

from typing import Final

import cv2
import numpy as np

from ml.imaging.preprocess import Size

FAULT: Final = 0.15
"""The chance of each fault of a photo."""


def augment(frame: np.ndarray, size: Size, rng: np.random.Generator) -> np.ndarray:
    """A random view of a frame, uint8 RGB (rows, columns, 3), as uint8 RGB of `size`.

    Flip, any rotation, zoom 0.75 to 1.8, stretch, shear, shift, gain, contrast and tint; sometimes a frame whose sides
    are missing, less resolution, blur, noise or strong JPEG compression.
    """
    if rng.random() < FAULT:
        frame = _without_sides(frame)
    view = _colour(_geometry(frame, size, rng), rng)
    for fault in (_coarse, _blurred, _noisy, _compressed):
        if rng.random() < FAULT:
            view = fault(view, rng)
    return view


def _without_sides(frame: np.ndarray) -> np.ndarray:
    """As if a square photo had been framed."""
    height, width = frame.shape[:2]
    margin = (width - height) // 2
    middle = frame[:, margin : width - margin]
    return cv2.copyMakeBorder(middle, 0, 0, margin, margin, cv2.BORDER_REFLECT_101)


def _geometry(frame: np.ndarray, size: Size, rng: np.random.Generator) -> np.ndarray:
    height, width = frame.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    zoom = np.exp(rng.uniform(np.log(0.75), np.log(1.8))) * size[0] / width
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    shear = rng.uniform(-0.1, 0.1)
    flip = rng.choice((-1.0, 1.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[zoom * stretch * flip, shear * zoom], [0.0, zoom / stretch]])
    shift = rng.uniform(-0.08, 0.08, 2) * size
    affine = np.column_stack([matrix, np.array(size) / 2 + shift - matrix @ np.array([width / 2, height / 2])])
    return cv2.warpAffine(frame, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _colour(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One lookup table for each channel: a gain for the light, a little tint for the camera, and contrast about
    mid-grey.
    """
    level = np.arange(256, dtype=np.float32)[:, None]
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.92, 1.08, 3)
    contrast = rng.uniform(0.85, 1.15)
    table = ((level - 128) * contrast + 128) * gain
    return cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8)[None])


def _coarse(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[:2]
    share = rng.uniform(0.4, 0.8)
    small = cv2.resize(pixels, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.6)))


def _noisy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grain = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(2, 12)
    return np.asarray(np.clip(pixels + grain, 0, 255), dtype=np.uint8)


def _compressed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
