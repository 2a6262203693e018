"""Whether a picture is good enough to be examined, with advice that a patient can follow.

Everything is measured on a copy whose longest side is 256 pixels, about what a model sees, and contrasts are shares of
the picture's own brightness, so that dark skin and a dim room are not mistaken for a bad photo. The black around a
dermatoscope's field is completed first (`ml.imaging.field`), since its edge would pass for coarse detail.

The thresholds were set on HAM10000 (Tschandl et al., Scientific Data 2018), so that no flag falls on more than 1 in 100
of its good dermoscopic images. What they do, by `python -m tests.bench.quality_false_alarms --data <folder> --images
1000` on 2026-11-22, of images that partly served to set them:

    good images    1,000 of 299 x 224 pixels: any flag 0.9 %, none on more than 0.3 %; enlarged to 600 x 450 1.0 %; in a
                   drawn round field 3.0 %; 1,000 of 200 x 150 pixels 2.2 %
    200 spoilt     exposure x 0.2 too_dark 100 %, x 2 too_bright 94.5 %, x 3 100 %; haze low_contrast 100 %; gaussian
                   blur of radius 1 / 1.5 / 2 / 3 pixels blurred 3 / 30.5 / 96.5 / 98 %, radius 2 with noise 57 %,
                   motion by 9 pixels 98 %; 112 pieces of skin without a lesion no_lesion 84 %, any flag 95 %
    never skin     60 each of noise not_skin 100 %, pages of text 97 %, flat colours 47 %; any flag 100 %

At half the exposure, where light skin is as dark as brown skin is, 2.5 % got a flag.

A spot that is small in the frame gets an answer that means little (docs/release.md), so it is told as such. Its edge is
taken to be where a quarter of the greatest difference is left: that encloses a lesion of 3 % and half as much again
where the skin is even, and more where it is not, which errs towards taking the photo. On the train and validation
images of HAM10000 as they are, too_far falls on 0.33 % (0.23 to 0.47 %, 28 of 8,522), each of a lesion that fills less
than 4.2 % of its picture; on the sharper copies in a drawn round field, which evens the skin, on 1.6 %, all as small.

Sharpness is a ratio of detail at two scales, since the plain variance of the Laplacian measures how much structure the
lesion has as much as how sharp it is: set to 1 % false alarms, it missed 39 % of the motion-blurred copies and every
blurred copy with noise.

Limits: HAM10000 is mostly light skin under a dermatoscope. A red cloth may pass for skin, and hair hides blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.imaging.field import completed
from ml.imaging.refusal import SENTENCES

MEASURED_SIDE = 256  # pixels, longest side
SMOOTH_SIDE = 64  # the same, of the copy for what is measured after heavy smoothing: no finer detail is left then
SAMPLED = 3  # shares, percentiles and sharpness are of every third line: that many say the same

MIN_SHORT_SIDE = 144  # pixels; the smallest copies of HAM10000 that the models were trained on have 150
MIN_BRIGHTNESS = 25.0  # CIELAB lightness; well-lit deep brown skin stays above it
MAX_CLIPPED = 0.25  # share of pixels
MIN_CONTRAST = 0.115
MIN_SATURATION = 0.085  # both low: a veil of haze or glare
MIN_REDNESS = 0.05
HUES = (-68.0, 75.0)  # degrees in the a*, b* plane, from violet over red to yellow-brown
MAX_TEXTURE = 2.3  # CIELAB units; print and sensor noise have more, hair and scales less
MIN_SPOT = 0.118
SPOT_EDGE = 0.25
MIN_EXTENT = 0.044
MIN_SHARPNESS = 0.49

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


def _band(finer: float, coarser: float) -> Plane:
    """A one-dimensional kernel that finds detail between two sizes, the standard deviations of Gaussians in pixels."""
    half = round(4 * coarser)
    narrow = np.zeros((2 * half + 1, 1), np.float32)
    reach = round(4 * finer)
    narrow[half - reach : half + reach + 1] = cv2.getGaussianKernel(2 * reach + 1, finer, cv2.CV_32F)
    return narrow - cv2.getGaussianKernel(2 * half + 1, coarser, cv2.CV_32F)


FINE, COARSE = _band(1, 2), _band(2, 4)
ONE = np.ones((1, 1), np.float32)
Value = TypeVar("Value", np.uint8, np.float32)


@dataclass(frozen=True)
class Measures:
    """What the flags are decided by. "Relative" is divided by `brightness` + 5, so it hardly changes with exposure."""

    short_side: int  # pixels, of the picture as given
    brightness: float  # CIELAB lightness (0 to 100) that nine tenths of the pixels stay below
    clipped: float  # share of pixels with two or more channels at 252 or above
    contrast: float  # spread of lightness, from its 5th to its 95th percentile, relative
    saturation: float  # median chroma, relative
    redness: float  # median of CIELAB a* after smoothing, relative; skin of every tone is on the red side
    hue: float  # degrees, of the median colour after smoothing: 0 is red, 90 yellow, -90 blue
    texture: float  # mean difference from a slightly smoothed copy, CIELAB units
    spot: float  # how far the most unusual 2 % of the picture is in colour from the rest, relative
    extent: float  # share of the picture that differs at least SPOT_EDGE as much as its most unusual 0.5 % does
    sharpness: float  # fine detail over coarse detail, along the axis that has less


@dataclass(frozen=True)
class Flag:
    """One thing wrong with a picture: a code of `ml.imaging.refusal` and what to do about it."""

    code: str
    advice: str


@dataclass(frozen=True)
class QualityReport:
    flags: tuple[Flag, ...]
    measures: Measures

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(flag.code for flag in self.flags)


def check(image: Image.Image | Pixels) -> QualityReport:
    """Judge an RGB picture, or its pixels. What it shows is judged only if light allows, and sharpness only if there is
    a spot.
    """
    measures = measure(image)
    codes = ["too_small"] if measures.short_side < MIN_SHORT_SIDE else []
    codes += _light(measures) or _content(measures) or _focus(measures)
    return QualityReport(tuple(Flag(code, SENTENCES[code]) for code in codes), measures)


def _light(measures: Measures) -> list[str]:
    if measures.brightness < MIN_BRIGHTNESS:
        return ["too_dark"]
    if measures.clipped > MAX_CLIPPED:
        return ["too_bright"]
    if measures.contrast < MIN_CONTRAST and measures.saturation < MIN_SATURATION:
        return ["low_contrast"]
    return []


def _content(measures: Measures) -> list[str]:
    coloured_like_skin = measures.redness >= MIN_REDNESS and HUES[0] <= measures.hue <= HUES[1]
    if not coloured_like_skin or measures.texture > MAX_TEXTURE:
        return ["not_skin"]
    if measures.extent < MIN_EXTENT:
        return ["too_far"]
    return ["no_lesion"] if measures.spot < MIN_SPOT else []


def _focus(measures: Measures) -> list[str]:
    return ["blurred"] if measures.sharpness < MIN_SHARPNESS else []


def measure(image: Image.Image | Pixels) -> Measures:
    """The numbers behind the flags, for an RGB picture of any size, or its pixels."""
    pixels = np.asarray(image)
    rgb = completed(_reduced(pixels, MEASURED_SIDE))
    # L* from 0 to 100, a* and b* from about -100 to 100
    lab = np.asarray(cv2.cvtColor(np.divide(rgb, 255, dtype=np.float32), cv2.COLOR_RGB2LAB), np.float32)
    lightness = np.asarray(cv2.extractChannel(lab, 0), np.float32)
    red_high, green_high, blue_high = np.moveaxis(rgb[::SAMPLED, ::SAMPLED] >= 252, -1, 0)
    reds, yellows = (lab[::SAMPLED, ::SAMPLED, channel] for channel in (1, 2))
    dark, bright, top = _percentiles(lightness[::SAMPLED, ::SAMPLED], 5, 95, 90)
    scale = top + 5
    smooth = _reduced(lab, SMOOTH_SIDE)
    smooth = np.asarray(cv2.GaussianBlur(smooth, (0, 0), 0.03 * max(smooth.shape[:2])), np.float32)
    (red,), (yellow,) = (_percentiles(smooth[..., channel], 50) for channel in (1, 2))
    spot, extent = _spot(smooth)
    return Measures(
        short_side=min(pixels.shape[:2]),
        brightness=top,
        clipped=float((red_high & green_high | red_high & blue_high | green_high & blue_high).mean()),
        contrast=(bright - dark) / scale,
        saturation=_percentiles(np.sqrt(reds * reds + yellows * yellows), 50)[0] / scale,
        redness=red / scale,
        hue=float(np.degrees(np.arctan2(yellow, red))),
        texture=cv2.norm(lab, cv2.GaussianBlur(lab, (0, 0), 1.5), cv2.NORM_L1) / lab.size,
        spot=spot / scale,
        extent=extent,
        sharpness=min(_sharpness(lightness[::SAMPLED]), _sharpness(lightness[:, ::SAMPLED].T)),
    )


def _reduced(pixels: NDArray[Value], side: int) -> NDArray[Value]:
    """`pixels`, (height, width, 3), with its longest side at most `side` pixels; never enlarged.

    By a whole number first, which takes a tenth of the time: then too little is left to need smoothing.
    """
    longest = max(pixels.shape[:2])
    whole = longest // side
    if whole < 2:
        return _scaled(pixels, side / longest, cv2.INTER_AREA) if longest > side else pixels
    pixels = _scaled(pixels, 1 / whole, cv2.INTER_AREA)
    return _scaled(pixels, side / max(pixels.shape[:2]), cv2.INTER_LINEAR)


def _scaled(pixels: NDArray[Value], scale: float, interpolation: int) -> NDArray[Value]:
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=interpolation).astype(pixels.dtype, copy=False)


def _spot(smooth: Plane) -> tuple[float, float]:
    """How far a spot stands out, the 98th percentile of the CIELAB distance from the median colour once an even slope
    of light is taken out, and its `Measures.extent`.

    `smooth` has shape (height, width, 3).
    """
    plane, fit = _plane(*smooth.shape[:2])
    colours = smooth.reshape(-1, 3).T.copy()  # each channel in one piece
    flat = colours - (colours @ fit) @ plane
    distance = flat - np.array([_percentiles(channel, 50) for channel in flat], np.float32)
    away = np.sqrt(np.einsum("ij,ij->j", distance, distance))
    spot, most = _percentiles(away, 98, 99.5)
    return spot, float((away >= SPOT_EDGE * most).mean())


def _percentiles(values: Plane, *percentages: float) -> list[float]:
    """As `np.percentile` gives them, in a third of its time: for these few values its preparations take the most."""
    ordered = np.sort(values, axis=None)
    places = [(ordered.size - 1) * percentage / 100 for percentage in percentages]
    return [float(ordered[int(place)] * (1 - place % 1) + ordered[ceil(place)] * (place % 1)) for place in places]


@lru_cache(maxsize=8)
def _plane(height: int, width: int) -> tuple[Plane, Plane]:
    """An even slope over a picture, (3, pixels): constant, x and y; and what fits it by least squares, (pixels, 3)."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    plane = np.stack([np.ones(x.size), x.ravel(), y.ravel()])
    return plane.astype(np.float32), np.linalg.pinv(plane).astype(np.float32)


def _sharpness(lines: Plane) -> float:
    """Detail of one to two pixels over detail of two to four, along lines of lightness: a ratio that blur lowers.

    Compared along one axis at a time, so that motion in one direction shows. `lines` has shape (lines, pixels).
    """
    lines = np.ascontiguousarray(lines)
    fine, coarse = _detail(lines, FINE), _detail(lines, COARSE)
    return fine / (coarse + 0.02)


def _detail(lines: Plane, kernel: Plane) -> float:
    """The standard deviation of what a one-dimensional `kernel` finds along the lines, away from their ends."""
    found = cv2.sepFilter2D(lines, cv2.CV_32F, kernel, ONE)[:, 4:-4]
    return float(cv2.meanStdDev(found)[1].item()) if found.size else 0.0
