"""Random views of a frame and its mask, by the same geometry."""

from typing import Final

import numpy as np

from ml.imaging.preprocess import Size
from ml.training.augment import Strength, colour, geometry

VIEWS: Final = Strength(np.pi, (0.75, 1.4), shift=0.08)


def view(frame: np.ndarray, mask: np.ndarray, size: Size, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random view of a frame, uint8 RGB (rows, columns, 3), and of its mask, uint8 (rows, columns) in 0 to 255: both
    of `size`.

    Light, contrast and tint change in the frame alone.
    """
    both = geometry(np.dstack([frame, mask]), size, VIEWS, rng)
    return colour(both[..., :3], rng, light=0.2, tint=0.1), both[..., 3]
