"""What lies around or over a lesion and says nothing about it: a surgeon's ink, a ruler, hair, a dermatoscope's rim.

Networks learn such things instead of the lesion: Winkler et al., Association Between Surgical Skin Markings in
Dermoscopic Images and Diagnostic Performance of a Deep Learning Convolutional Neural Network for Melanoma Recognition,
JAMA Dermatology 2019. Drawn on a photo, they should not change its answer.
"""

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ml.assess.degradations import Change

DETAIL: Final = 4
"""Lines are drawn this many times as large and scaled down, so that they are smooth."""


def ink(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Two to four strokes of a violet surgical marker near the border, which let the skin through."""
    layer, unit = _layer(image)
    draw = ImageDraw.Draw(layer)
    violet = (*(int(value) for value in rng.integers((70, 40, 120), (110, 80, 170))), int(rng.integers(150, 210)))
    for _ in range(rng.integers(2, 5)):
        place = _near_border(rng, layer.size)
        angle = rng.uniform(0, 2 * np.pi)
        forward = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(4, 10) * unit
        points = np.cumsum(forward + rng.normal(0, 4 * unit, (4, 2)), axis=0)
        points += place - points.mean(axis=0)
        draw.line([tuple(point) for point in _smooth(points)], violet, round(unit * rng.uniform(1.5, 3)), "curve")
    return _over(image, layer.filter(ImageFilter.GaussianBlur(unit / 4)))


def ruler(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A scale along one side: a white strip, or bare marks as dermatoscopes print them, longer at every fifth."""
    layer, unit = _layer(image)
    draw = ImageDraw.Draw(layer)
    depth, step = rng.uniform(9, 13) * unit, rng.uniform(2.2, 3.5) * unit
    if rng.random() < 0.5:
        draw.rectangle((0, 0, layer.width, depth), (244, 244, 238, 255))
    for index in range(int(layer.width / step) + 1):
        length = depth * (0.7 if index % 5 == 0 else 0.4)
        draw.line((index * step, 0, index * step, length), (20, 20, 20, 235), max(1, round(unit * 0.45)))
    side = int(rng.integers(2))  # of a photo turned upside down it is the lower one
    return _over(image, layer.rotate(180 * side))


def hair(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Eight to twenty dark hairs that cross the photo, and its lesion with it."""
    layer, unit = _layer(image)
    draw = ImageDraw.Draw(layer)
    direction = rng.uniform(0, np.pi)
    for _ in range(rng.integers(8, 21)):
        angle = direction + rng.normal(0, 0.35)
        along = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(25, 70) * unit
        middle = rng.uniform((0, 0), layer.size)
        bend = rng.normal(0, 8 * unit, 2)
        colour = (*(np.array((70, 52, 42)) * rng.uniform(0.3, 1)).astype(int).tolist(), 235)
        points = np.stack([middle - along, middle + bend, middle + along])
        draw.line([tuple(point) for point in _smooth(points)], colour, max(1, round(unit * rng.uniform(0.35, 0.8))))
    return _over(image, layer)


def vignette(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The round field of a dermatoscope, a little to one side, from one that touches all sides to one that leaves the
    corners black.
    """
    longer, shorter = max(image.size), min(image.size)
    radius = rng.uniform(0.48 * shorter, 0.52 * longer)
    middle = np.array(image.size) / 2 + rng.uniform(-0.04, 0.04, 2) * shorter
    y, x = np.mgrid[: image.height, : image.width] + 0.5
    unsharp = rng.uniform(0.005, 0.03) * shorter
    shown = np.clip((radius - np.hypot(x - middle[0], y - middle[1])) / unsharp + 0.5, 0, 1)[..., None]
    black = rng.uniform(0, 25)
    return Image.fromarray(np.round(np.asarray(image) * shown + black * (1 - shown)).astype(np.uint8))


ARTEFACTS: Final[dict[str, Change]] = {"ink": ink, "ruler": ruler, "hair": hair, "vignette": vignette}


def _layer(image: Image.Image) -> tuple[Image.Image, float]:
    """A clear layer, DETAIL times as large, and a hundredth of its shorter side in pixels."""
    size = image.width * DETAIL, image.height * DETAIL
    return Image.new("RGBA", size, (0, 0, 0, 0)), min(size) / 100


def _over(image: Image.Image, layer: Image.Image) -> Image.Image:
    small = layer.resize(image.size, Image.Resampling.BOX)
    return Image.alpha_composite(image.convert("RGBA"), small).convert("RGB")


def _near_border(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A point within the outer fifth."""
    inside = rng.uniform(0.05, 0.95, 2)
    inside[rng.integers(2)] = rng.uniform(0.03, 0.2)
    return np.asarray(np.where(rng.random(2) < 0.5, inside, 1 - inside) * size)


def _smooth(points: np.ndarray) -> np.ndarray:
    """Forty points on the Bézier curve of control points (m, 2)."""
    t = np.linspace(0, 1, 40)[:, None, None]
    curve = np.repeat(points[None], 40, axis=0)
    while curve.shape[1] > 1:
        curve = curve[:, :-1] * (1 - t) + curve[:, 1:] * t
    return np.asarray(curve[:, 0])
