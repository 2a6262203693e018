"""What a poor camera, a messenger or bad light does to a photo, one fault at a time, to see what it costs.

They follow the corruptions of Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations, ICLR 2019, arXiv:1903.12261. Lengths are shares of the shorter side, so that a fault looks the same
at any resolution.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

Change = Callable[[Image.Image, np.random.Generator], Image.Image]
"""From an RGB photo and a source of chance to a changed RGB photo of the same size; the photo given stays as it is."""

JPEG_QUALITY: Final = 30
BLUR: Final = 0.008
"""The standard deviation as a share of the shorter side: 1.5 pixels of a frame of 192 rows."""
GRAIN: Final = 15.0
"""The noise's standard deviation, in steps of 255."""
CAST: Final = 0.15
"""By how much a channel's gain may leave 1."""


def jpeg(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Compressed with quality 30."""
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return Image.open(file).convert("RGB")


def blur(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Out of focus."""
    return image.filter(ImageFilter.GaussianBlur(BLUR * min(image.size)))


def colour_cast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Under warm or cold light: red and blue change against each other, green a little."""
    warmth = CAST * rng.choice((-1.0, 1.0)) * rng.uniform(0.6, 1.0)
    gain = 1 + np.array([warmth, rng.uniform(-CAST, CAST) / 3, -warmth])
    return rounded(np.asarray(image, dtype=np.float32) * gain)


def noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The grain of a sensor in little light, as coarse as a pixel of a frame of 300 rows."""
    scale = min(1.0, 300 / min(image.size))
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    grain = rng.normal(0, GRAIN, (height, width, 3)).astype(np.float32)
    layers = [Image.fromarray(layer).resize(image.size, Image.Resampling.NEAREST) for layer in np.moveaxis(grain, 2, 0)]
    return rounded(np.asarray(image, dtype=np.float32) + np.stack([np.asarray(layer) for layer in layers], axis=2))


def half_light(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Half as bright as it was."""
    return rounded(np.asarray(image, dtype=np.float32) / 2)


def half_resolution(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Half the pixels in each direction, enlarged again."""
    small = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BILINEAR)


DEGRADATIONS: Final[dict[str, Change]] = {
    "jpeg_30": jpeg,
    "blur": blur,
    "colour_cast": colour_cast,
    "noise": noise,
    "half_resolution": half_resolution,
    "half_light": half_light,
}


def rounded(pixels: np.ndarray) -> Image.Image:
    """A picture of pixels (rows, columns, 3) that may lie between two whole numbers, or outside 0 to 255."""
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
