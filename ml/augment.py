"""Random views of a lesion: strong geometry, since a lesion has no up, and mild colour, since colour is evidence."""

import cv2
import numpy as np


def augment(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random view of uint8 RGB pixels (height, width, 3), same shape and dtype: flip, any rotation, zoom 0.8 to
    1.5, shear, shift, gain, contrast, tint.
    """
    return _colour(_geometry(pixels, rng), rng)


def _geometry(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    zoom = np.exp(rng.uniform(np.log(0.8), np.log(1.5)))
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    shear = rng.uniform(-0.1, 0.1)
    flip = rng.choice((-1.0, 1.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[zoom * stretch * flip, shear], [0.0, zoom / stretch]])
    centre = np.array([width / 2, height / 2])
    shift = rng.uniform(-0.08, 0.08, 2) * (width, height)
    affine = np.column_stack([matrix, centre + shift - matrix @ centre])
    return cv2.warpAffine(pixels, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _colour(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One lookup table for each channel: a gain for the light, a little tint for the camera, and contrast about
    mid-grey.
    """
    level = np.arange(256, dtype=np.float32)[:, None]
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.94, 1.06, 3)
    contrast = rng.uniform(0.85, 1.15)
    table = ((level - 128) * contrast + 128) * gain
    return cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8)[None])
