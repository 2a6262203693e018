"""From what a segmentation network says of a frame to where the lesion is. It needs OpenCV and NumPy alone, since an
export takes it along.
"""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np

BATCH: Final = 32
FLIPS: Final = ((), (1,), (2,), (1, 2))
"""A lesion has no up: the answer is the mean over the frame and its mirror images."""

Network = Callable[[np.ndarray], np.ndarray]
"""From views, uint8 RGB (n, height, width, 3), to log-odds that a pixel is lesion, float32 (n, height, width, 1)."""


def masks(network: Network, frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where the lesion is in each frame, uint8 RGB (n, rows, columns, 3): bool (n, rows, columns). `size` is the
    (width, height) that the network sees.
    """
    rows, columns = frames.shape[1:3]
    found = [outline(grid, (columns, rows)) for grid in log_odds(network, frames, size)]
    return np.array(found, dtype=bool).reshape(len(frames), rows, columns)


def log_odds(network: Network, frames: Sequence[np.ndarray] | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """For each frame the log-odds that a place is lesion, float32 (n, height, width), of `size`."""
    width, height = size
    answers = [np.empty((0, height, width), dtype=np.float32)]
    for start in range(0, len(frames), BATCH):
        views = np.stack([shrunk(frame, size) for frame in frames[start : start + BATCH]])
        turned = [np.flip(network(np.flip(views, axes)), axes)[..., 0] for axes in FLIPS]
        answers.append(np.mean(turned, axis=0))
    return np.concatenate(answers)


def outline(grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where log-odds, float32 (rows, columns), are above even odds at another size: bool (height, width)."""
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR) > 0)


def shrunk(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The frame, uint8 RGB, at `size`, by area."""
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
