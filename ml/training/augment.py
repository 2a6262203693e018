"""Random views of a lesion: strong geometry, since a lesion has no up, mild colour, since colour is evidence, and now
and then hair and the faults of a phone's photo, which are not; or less of all that, as others have trained.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ml.imaging.preprocess import Size

FAULT: Final = 0.15
"""The chance of each fault of a photo."""

HAIRY: Final = 0.3
"""The chance of drawn hair."""

DETAIL: Final = 2
"""Hair is drawn this many times as large and scaled down, so that it can be thinner than a pixel."""


@dataclass(frozen=True)
class Strength:
    """How much is varied: a rotation up to `turn` radians to either side, a `zoom` between two factors, the most
    `stretch` (in nats), `shear` and `shift` (as a share of the view); with `light`, colour varies and photos have
    hair and faults.
    """

    turn: float
    zoom: tuple[float, float]
    stretch: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    light: bool = False


STRENGTHS: Final[dict[str, Strength]] = {
    "strong": Strength(np.pi, (0.75, 1.8), stretch=0.2, shear=0.1, shift=0.08, light=True),
    "geometric": Strength(np.pi, (0.8, 1.2)),
    "slight": Strength(np.deg2rad(20), (0.8, 1.2)),
}
"""All of them flip."""


def augment(frame: np.ndarray, size: Size, rng: np.random.Generator, strength: str = "strong") -> np.ndarray:
    """A random view of a frame, uint8 RGB (rows, columns, 3), as uint8 RGB of `size`, of one of STRENGTHS.

    Flip, rotation, zoom, stretch, shear and shift; with light also gain, contrast and tint, and sometimes a frame whose
    sides are missing, hair, less resolution, blur, noise or strong JPEG compression.
    """
    how = STRENGTHS[strength]
    if how.light and rng.random() < FAULT:
        frame = _without_sides(frame)
    view = geometry(frame, size, how, rng)
    if how.light:
        view = colour(view, rng, light=0.15, tint=0.08)
        if rng.random() < HAIRY:
            view = _hairy(view, rng)
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


def geometry(frame: np.ndarray, size: Size, how: Strength, rng: np.random.Generator) -> np.ndarray:
    """A random view of a frame, uint8 (rows, columns, channels), of `size`: flipped, turned, zoomed, stretched, sheared
    and shifted, and nothing else.
    """
    height, width = frame.shape[:2]
    angle = rng.uniform(-how.turn, how.turn)
    zoom = np.exp(rng.uniform(*np.log(how.zoom)))
    fit = np.array(size) / (width, height)
    stretch = np.exp(rng.uniform(-how.stretch, how.stretch))
    shear = rng.uniform(-how.shear, how.shear)
    flip = rng.choice((-1.0, 1.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = fit[:, None] * (turn @ np.array([[zoom * stretch * flip, shear * zoom], [0.0, zoom / stretch]]))
    shift = rng.uniform(-how.shift, how.shift, 2) * size
    affine = np.column_stack([matrix, np.array(size) / 2 + shift - matrix @ np.array([width / 2, height / 2])])
    return cv2.warpAffine(frame, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def colour(pixels: np.ndarray, rng: np.random.Generator, *, light: float, tint: float) -> np.ndarray:
    """RGB pixels of any size in another light. One lookup table for each channel: a gain for the light, a little tint
    for the camera, and contrast about mid-grey; `light` is the most of gain and contrast, as a share, and `tint` of
    tint.
    """
    level = np.arange(256, dtype=np.float32)[:, None]
    gain = rng.uniform(1 - light, 1 + light) * rng.uniform(1 - tint, 1 + tint, 3)
    contrast = rng.uniform(1 - light, 1 + light)
    table = ((level - 128) * contrast + 128) * gain
    return cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8)[None])


def _hairy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three to forty hairs of one colour, from black to fair: arcs that lie more or less alike."""
    height, width = pixels.shape[:2]
    count = round(np.exp(rng.uniform(*np.log((3, 40)))))
    along = np.linspace(-0.5, 0.5, 12)
    lying = rng.uniform(0, np.pi) + rng.normal(0, rng.uniform(0.1, 1.5), (count, 1))
    heading = lying + rng.normal(0, 0.8, (count, 1)) * along
    step = rng.uniform(0.2, 1.3, (count, 1, 1)) * height / len(along)
    path = np.cumsum(step * np.stack([np.cos(heading), np.sin(heading)], axis=-1), axis=1)
    path += rng.uniform((0, 0), (width, height), (count, 1, 2)) - path.mean(axis=1, keepdims=True)
    layer = np.zeros((height * DETAIL, width * DETAIL), dtype=np.uint8)
    for hair, thickness in zip(np.rint(path * DETAIL * 16).astype(np.int32), rng.integers(1, 4, count), strict=True):
        cv2.polylines(layer, [hair], False, 255, int(thickness), cv2.LINE_AA, shift=4)
    cover = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)[..., None] * np.float32(
        rng.uniform(0.5, 1) / 255
    )
    colour = np.array([1.0, 0.85, 0.7], dtype=np.float32) * np.float32(15 + 190 * rng.random() ** 3)
    return np.asarray(pixels + (colour - pixels) * cover, dtype=np.uint8)


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
