"""Random views of a frame and its mask, by the same geometry."""

import cv2
import numpy as np

from ml.imaging.preprocess import Size


def view(frame: np.ndarray, mask: np.ndarray, size: Size, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random view of a frame, uint8 RGB (rows, columns, 3), and of its mask, uint8 (rows, columns) in 0 to 255: both
    of `size`.

    Flip, any rotation, zoom 0.75 to 1.4, shift; gain, contrast and tint for the frame alone.
    """
    height, width = frame.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    zoom = np.exp(rng.uniform(np.log(0.75), np.log(1.4))) * size[0] / width
    flip = rng.choice((-1.0, 1.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([zoom * flip, zoom])
    shift = rng.uniform(-0.08, 0.08, 2) * size
    affine = np.column_stack([matrix, np.array(size) / 2 + shift - matrix @ np.array([width / 2, height / 2])])
    seen, outlined = (
        cv2.warpAffine(plane, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for plane in (frame, mask)
    )
    return _lit(seen, rng), outlined


def shrunk(frame: np.ndarray, size: Size) -> np.ndarray:
    """The frame, uint8 RGB, at `size`, by area."""
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _lit(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    level = np.arange(256, dtype=np.float32)[:, None]
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.9, 1.1, 3)
    table = ((level - 128) * rng.uniform(0.8, 1.2) + 128) * gain
    return cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8)[None])
