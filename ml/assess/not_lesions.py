"""Pictures that show no lesion, drawn by code, and how often each kind was told as such.

`bare_skin` is apart: it is skin, so that "this is no skin" would be wrong of it, and only "there is no lesion" right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ml.assess.degradations import rounded
from ml.imaging.preprocess import Size
from ml.metrics.intervals import wilson
from ml.synthetic import SIZE, SKINS

LETTERS: Final = "aaabcddeeeefghiiklmnnnooprrsstttuuvwy"
BARE_SKIN: Final = "bare_skin"


def draw(kind: str, seed: int, size: Size = SIZE) -> Image.Image:
    """An RGB picture of `size` of one of KINDS; the same seed gives the same picture. Raises KeyError for another
    kind.
    """
    return KINDS[kind](np.random.default_rng(seed), size)


@dataclass(frozen=True)
class Rate:
    """Of `pictures` of a kind `flagged` were told as no lesion: the share, with its 95 % Wilson interval."""

    kind: str
    pictures: int
    flagged: int
    share: float
    low: float
    high: float


def rates(flags: Mapping[str, np.ndarray]) -> list[Rate]:
    """One row for each kind of picture from its flags, bool (n,), with n at least 1."""
    counts = {kind: (int(flag.sum()), len(flag)) for kind, flag in flags.items()}
    return [Rate(kind, count, hits, hits / count, *wilson(hits, count)) for kind, (hits, count) in counts.items()]


def _text(rng: np.random.Generator, size: Size) -> Image.Image:
    """A page of text."""
    picture = Image.new("RGB", size, _grey(rng, 225, 256))
    _write(ImageDraw.Draw(picture), rng, (size[0] * 0.07, size[1] * 0.06, size[0] * 0.93, size[1] * 0.95))
    return picture


def _face(rng: np.random.Generator, size: Size) -> Image.Image:
    """A face, as far as an oval with eyes, nose, mouth and hair is one."""
    width, height = size
    skin = np.array(SKINS[rng.integers(len(SKINS))])
    picture = Image.new("RGB", size, _colour(rng))
    pen = ImageDraw.Draw(picture)
    x, y = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.5, 0.56)
    a, b = height * rng.uniform(0.27, 0.33), height * rng.uniform(0.37, 0.43)
    hair = tuple((np.array((110, 80, 55)) * rng.uniform(0.2, 1.6)).astype(int).tolist())
    pen.ellipse((x - a * 1.15, y - b * 1.2, x + a * 1.15, y + b * 0.6), hair)
    pen.ellipse((x - a, y - b, x + a, y + b), tuple(skin.tolist()))
    for side in (-1, 1):
        eye = x + side * a * 0.42
        pen.ellipse((eye - a * 0.2, y - b * 0.25, eye + a * 0.2, y - b * 0.1), (245, 245, 245))
        pen.ellipse((eye - a * 0.08, y - b * 0.24, eye + a * 0.08, y - b * 0.11), hair)
        pen.line((eye - a * 0.25, y - b * 0.35, eye + a * 0.25, y - b * 0.38), hair, max(2, height // 80))
    darker = tuple((skin * 0.75).astype(int).tolist())
    pen.line((x, y - b * 0.1, x - a * 0.1, y + b * 0.22, x + a * 0.1, y + b * 0.24), darker, max(2, height // 100))
    pen.chord((x - a * 0.35, y + b * 0.3, x + a * 0.35, y + b * 0.65), 0, 180, (170, 60, 70))
    return _photographed(picture, rng)


def _white_noise(rng: np.random.Generator, size: Size) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _pink_noise(rng: np.random.Generator, size: Size) -> Image.Image:
    """Noise whose power falls with frequency, as in natural pictures."""
    layers = np.stack([_clouds(rng, size, 1.0) for _ in range(3)], axis=2)
    return rounded(128 + 48 * layers)


def _landscape(rng: np.random.Generator, size: Size) -> Image.Image:
    """A sky over rows of hills."""
    width, height = size
    down = np.linspace(0, 1, height)[:, None, None]
    top, bottom = np.array((70, 120, 200)) * rng.uniform(0.7, 1.2), np.array((205, 215, 235)) * rng.uniform(0.8, 1.0)
    pixels = np.broadcast_to(top * (1 - down) + bottom * down, (height, width, 3)).copy()
    pixels += 25 * np.clip(_clouds(rng, size, 1.6), 0, None)[..., None]
    across, row = np.arange(width) / width, np.arange(height)[:, None]
    hills = rng.integers(2, 5)
    for index in range(hills):
        base = height * (0.5 + 0.4 * index / hills)
        line = sum(np.sin(across * rng.uniform(3, 14) + rng.uniform(0, 6)) * height * 0.05 for _ in range(3))
        green = np.array((60, 105, 55)) * rng.uniform(0.5, 1.1) * rng.uniform(0.8, 1.2, 3)
        texture = 14 * _clouds(rng, size, 0.8)[..., None]
        pixels = np.where((row > base + line)[..., None], green + texture, pixels)
    return rounded(pixels)


def _plain(rng: np.random.Generator, size: Size) -> Image.Image:
    """One colour, black and white among them."""
    pick = rng.random()
    return Image.new("RGB", size, (0, 0, 0) if pick < 0.1 else (255, 255, 255) if pick < 0.2 else _colour(rng))


def _checkerboard(rng: np.random.Generator, size: Size) -> Image.Image:
    side = rng.integers(size[1] // 40, size[1] // 4)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    odd = ((x + rng.integers(side)) // side + (y + rng.integers(side)) // side) % 2
    colours = np.array([_colour(rng), _colour(rng)] if rng.random() < 0.5 else [(15, 15, 15), (240, 240, 240)])
    return rounded(colours[odd].astype(np.float32))


def _document(rng: np.random.Generator, size: Size) -> Image.Image:
    """A sheet with a table, photographed at an angle on a desk."""
    width, height = size
    sheet = Image.new("RGBA", size, (*_grey(rng, 228, 252), 255))
    pen = ImageDraw.Draw(sheet)
    left, right, top, bottom = width * 0.08, width * 0.92, height * 0.25, height * 0.92
    _write(pen, rng, (left, height * 0.06, right, height * 0.2))
    rows, columns = int(rng.integers(5, 11)), int(rng.integers(3, 7))
    for y in np.linspace(top, bottom, rows + 1):
        pen.line((left, y, right, y), (60, 60, 60), 2)
    pen.line((right, top, right, bottom), (60, 60, 60), 2)
    for x in np.linspace(left, right, columns + 1)[:-1]:
        pen.line((x, top, x, bottom), (60, 60, 60), 2)
        for y in np.linspace(top, bottom, rows + 1)[:-1]:
            word = str(rng.integers(0, 10_000))
            pen.text((x + 6, y + 3), word, (40, 40, 60), ImageFont.load_default(max(8, height // 32)))
    small = sheet.resize((round(width * 0.85), round(height * 0.85)))
    turned = small.rotate(rng.uniform(-25, 25), Image.Resampling.BICUBIC, expand=True)
    wood = np.array((120, 80, 50)) * rng.uniform(0.6, 1.4) * rng.uniform(0.8, 1.2, 3)
    desk = rounded(wood + 18 * cv2.GaussianBlur(_clouds(rng, size, 0.6), (0, 0), sigmaX=30, sigmaY=1)[..., None])
    desk.paste(turned, ((width - turned.width) // 2, (height - turned.height) // 2), turned)
    return _photographed(desk, rng)


def _bare_skin(rng: np.random.Generator, size: Size) -> Image.Image:
    """Skin with its unevenness, its lines and some hairs, and no lesion."""
    tone = np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.9, 1.05)
    fine = _clouds(rng, size, 0.3)
    lines = cv2.GaussianBlur(fine, (0, 0), sigmaX=4, sigmaY=0.8) - cv2.GaussianBlur(fine, (0, 0), sigmaX=12, sigmaY=2.4)
    pixels = tone + 7 * _clouds(rng, size, 1.5)[..., None] + 2 * fine[..., None] + 6 * lines[..., None]
    picture = rounded(pixels)
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(0, 6)):
        x, y = rng.uniform((0, 0), size)
        length, start = rng.uniform(0.1, 0.4) * size[1], rng.uniform(0, 360)
        pen.arc((x, y, x + length, y + length), start, start + rng.uniform(40, 120), (70, 52, 42), 1)
    return _photographed(picture, rng)


KINDS: Final[dict[str, Callable[[np.random.Generator, Size], Image.Image]]] = {
    "text": _text,
    "face": _face,
    "white_noise": _white_noise,
    "pink_noise": _pink_noise,
    "landscape": _landscape,
    "plain_colour": _plain,
    "checkerboard": _checkerboard,
    "document": _document,
    BARE_SKIN: _bare_skin,
}


def _write(pen: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[float, float, float, float]) -> None:
    """Lines of invented words within (left, top, right, bottom)."""
    left, top, right, bottom = box
    height = int(rng.integers(11, 20))
    font, ink = ImageFont.load_default(height), _grey(rng, 10, 80)
    for y in np.arange(top, bottom - height, height * 1.5):
        line, end = "", left + (right - left) * (1 if rng.random() < 0.8 else rng.uniform(0.3, 0.9))
        while left + pen.textlength(line, font) < end - 6 * height:
            line += "".join(rng.choice(list(LETTERS), rng.integers(2, 10))) + " "
        pen.text((left, y), line, ink, font)


def _clouds(rng: np.random.Generator, size: Size, slope: float) -> np.ndarray:
    """Noise of mean 0 and deviation 1 whose amplitude falls with frequency to the power `slope`, float32 (height,
    width).
    """
    width, height = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / np.maximum(frequency, 1 / max(size)) ** slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(field / field.std(), dtype=np.float32)


def _photographed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """With uneven light, a little blur and grain."""
    width, height = picture.size
    y, x = np.mgrid[0:height, 0:width]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + 0.12 * ((x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    return rounded(soft * light[..., None] + rng.normal(0, 2.5, (height, width, 1)))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def _grey(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    level = int(rng.integers(low, high))
    return level, level, level
