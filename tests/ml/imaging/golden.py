"""Six pictures made from integers alone, and the frames that they became when this was last run:

python -m tests.ml.imaging.golden
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from ml.imaging.preprocess import VERSION, preprocess

FILE: Final = Path(__file__).with_name("golden_frames.npz")


def skin(width: int, height: int, light: int = 100) -> np.ndarray:
    """A spot with a ring and a ruler's lines on a slope of skin, uint8 RGB; `light` is in percent."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([200 + 30 * x // width, 150 + 40 * y // height, 130 + 20 * (x + y) // (width + height)], axis=-1)
    far = (x * 2 - width) ** 2 + (y * 2 - height) ** 2
    short = min(width, height)
    pixels[far < (short * 5 // 10) ** 2] = (140, 90, 70)
    pixels[far < (short * 4 // 10) ** 2] = (60, 40, 50)
    aside = abs(x * 2 - width)
    ruled = (abs(y - height // 3) < short // 12) & ((aside < width // 2) | (aside > width * 9 // 10))
    step = max(3, short // 60)  # lines about as fine as a pixel of the frame, none where a field's margin is mirrored
    pixels[ruled & (x % step == 0)] = (20, 20, 90)
    return (pixels * light // 100).astype(np.uint8)


def in_round_field(pixels: np.ndarray) -> np.ndarray:
    """With the black around a dermatoscope's field."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    outside = (x * 2 - width) ** 2 + (y * 2 - height) ** 2 > (height * 11 // 10) ** 2
    return np.where(outside[..., None], 6, pixels).astype(np.uint8)


PICTURES: Final[dict[str, Callable[[], np.ndarray]]] = {
    "bright": lambda: skin(600, 450),
    "dim": lambda: skin(600, 450, light=60),
    "round_field": lambda: in_round_field(skin(600, 450)),
    "portrait_nearly_black": lambda: skin(450, 600, light=12),
    "square": lambda: skin(500, 500),
    "enlarged": lambda: skin(100, 75),
}


if __name__ == "__main__":
    frames = {name: preprocess(picture()) for name, picture in PICTURES.items()}
    np.savez_compressed(FILE, version=VERSION, **frames)  # type: ignore[arg-type]
