"""Each fault of a photo is named, a good photo passes, and the measures hardly depend on size or exposure.

Rates on real dermoscopic images are measured by `tests/bench/quality_false_alarms.py`.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from ml.imaging.quality import check, measure
from ml.imaging.refusal import SENTENCES
from tests.bench.quality_false_alarms import moved, scaled
from tests.ml.imaging.samples import SKIN, skin_photo

TONES = {  # skin and pigment of light, brown and deep brown skin, sRGB
    "light": ((228, 190, 172), (120, 72, 56)),
    "tan": ((198, 150, 122), (92, 54, 40)),
    "brown": ((142, 96, 72), (66, 38, 28)),
    "deep": ((92, 60, 46), (38, 22, 18)),
}


def text_page(paper: tuple[int, int, int] = (255, 250, 245)) -> Image.Image:
    page = Image.new("RGB", (1000, 750), paper)
    draw = ImageDraw.Draw(page)
    for y in range(20, 730, 24):
        draw.text(
            (30, y), "The quick brown fox jumps over the lazy dog, twice on Sundays. " * 2, fill="black", font_size=18
        )
    return page


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("seed", range(3))
def test_a_good_photo_of_any_skin_passes(tone: str, seed: int) -> None:
    skin, pigment = TONES[tone]
    assert check(skin_photo(400, 300, seed=seed, skin=skin, pigment=pigment)).codes == ()


@pytest.mark.parametrize("size", [(200, 150), (300, 400), (300, 300)])
def test_size_and_orientation_do_not_matter(size: tuple[int, int]) -> None:
    assert check(skin_photo(*size)).codes == ()
    assert check(skin_photo().resize((1600, 1200), Image.Resampling.BICUBIC)).codes == ()


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (skin_photo(140, 100), "too_small"),
        (scaled(skin_photo(), 0.2), "too_dark"),
        (scaled(skin_photo(), 3), "too_bright"),
        (scaled(skin_photo(), 0.1, 195), "low_contrast"),
        (text_page(), "not_skin"),
        (noise(), "not_skin"),
        (Image.new("RGB", (400, 300), (90, 120, 200)), "not_skin"),
        (skin_photo().convert("L").convert("RGB"), "not_skin"),
        (skin_photo(radius=0), "no_lesion"),
        (Image.new("RGB", (400, 300), SKIN), "no_lesion"),
        (skin_photo(radius=0.1), "too_far"),
        (skin_photo().filter(ImageFilter.GaussianBlur(5)), "blurred"),
        (moved(skin_photo(), 21), "blurred"),
        (moved(skin_photo().transpose(Image.Transpose.ROTATE_90), 21).transpose(Image.Transpose.ROTATE_270), "blurred"),
    ],
)
def test_each_fault_is_named(image: Image.Image, code: str) -> None:
    report = check(image)
    assert report.codes == (code,)
    assert report.flags[0].advice == SENTENCES[code]


def test_white_paper_is_not_only_called_bright() -> None:
    [flag] = check(text_page((255, 255, 255))).flags
    assert flag.code == "too_bright"
    assert "paper" in flag.advice


@pytest.mark.parametrize("size", [(200, 150), (300, 400), (400, 300)])
@pytest.mark.parametrize(("radius", "codes"), [(0.09, ("too_far",)), (0.17, ()), (0.35, ())])
def test_only_a_spot_that_is_small_in_the_frame_is_too_far(
    size: tuple[int, int], radius: float, codes: tuple[str, ...]
) -> None:
    assert check(skin_photo(*size, radius=radius)).codes == codes


def test_an_uneven_light_is_not_a_spot() -> None:
    slope = np.linspace(0.75, 1.15, 400)[None, :, None]
    lit = Image.fromarray((np.asarray(skin_photo(radius=0)) * slope).clip(0, 255).astype(np.uint8))
    assert check(lit).codes == ("no_lesion",)


def test_a_small_picture_can_have_a_second_fault() -> None:
    assert check(scaled(skin_photo(140, 100), 0.2)).codes == ("too_small", "too_dark")


def test_contrasts_hardly_change_with_exposure() -> None:
    bright, dim = measure(skin_photo()), measure(scaled(skin_photo(), 0.55))
    assert dim.brightness < 0.7 * bright.brightness
    for name in ("spot", "redness", "sharpness", "contrast", "saturation"):
        assert getattr(dim, name) == pytest.approx(getattr(bright, name), rel=0.25)


@pytest.mark.parametrize("size", [(512, 384), (600, 450), (767, 575), (1000, 750), (2048, 1365)])
def test_a_large_photo_is_measured_as_what_it_is_reduced_to(size: tuple[int, int]) -> None:
    photo = np.asarray(skin_photo(*size))
    reduced = cv2.resize(photo, (256, round(256 * size[1] / size[0])), interpolation=cv2.INTER_AREA)
    for name, expected in dataclasses.asdict(measure(np.asarray(reduced, np.uint8))).items():
        if name not in ("short_side", "texture"):  # the grain of one pixel, on which no two ways of reducing agree
            assert getattr(measure(photo), name) == pytest.approx(expected, rel=0.06, abs=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (64, 2048), (2048, 64), (1, 1)])
def test_any_shape_can_be_measured(size: tuple[int, int]) -> None:
    measures = measure(Image.new("RGB", size, (200, 150, 130)))
    assert all(np.isfinite(value) for value in dataclasses.astuple(measures))
    assert measures.short_side == min(size)
