"""The black around a dermatoscope's field."""

import numpy as np
import pytest
from PIL import Image

from ml.assess import artefacts
from ml.imaging.field import completed
from ml.imaging.preprocess import fit


def skin(height: int = 192, width: int = 256) -> np.ndarray:
    """Skin that grows brighter to the right, with a black spot in its middle."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([180 + x / 8, 130 + y / 8, 110 + 0 * x], axis=-1)
    pixels[np.hypot(x - width / 2, y - height / 2) < height / 8] = 5
    return pixels.astype(np.uint8)


def surrounded(pixels: np.ndarray, radius: float, x: float = 0, y: float = 0) -> np.ndarray:
    """With black outside a circle around the middle, or around a place (x, y) pixels beside it."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    far = np.hypot(columns - pixels.shape[1] / 2 - x, rows - pixels.shape[0] / 2 - y) > radius
    return np.where(far[..., None], 6, pixels).astype(np.uint8)


@pytest.mark.parametrize("shape", [(192, 256), (256, 192), (192, 192), (192, 107)])
@pytest.mark.parametrize("size", [0.6, 0.85])
def test_a_round_field_is_completed_and_what_it_shows_stays_where_it_was(shape: tuple[int, int], size: float) -> None:
    whole = skin(*shape)
    radius = size * np.hypot(*shape) / 2
    whole_again = completed(surrounded(whole, radius))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(columns - shape[1] / 2, rows - shape[0] / 2) < radius - 0.03 * max(shape)
    np.testing.assert_array_equal(whole_again[inside], whole[inside])
    assert np.abs(whole_again[~inside].astype(int) - whole[~inside]).max() < 40


@pytest.mark.parametrize(("x", "y"), [(25, 0), (0, 14), (-20, 10)])
def test_a_field_may_lie_a_little_to_one_side(x: float, y: float) -> None:
    assert completed(surrounded(skin(), 110, x, y))[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 100


def test_black_bars_are_completed() -> None:
    barred = skin()
    barred[:, :30] = barred[:, -30:] = 0
    assert completed(barred)[:, [0, 29, -30, -1]].min() > 100
    barred = skin()
    barred[:20] = barred[-20:] = 0
    assert completed(barred)[[0, 19, -20, -1]].min() > 100


def test_a_photo_without_a_surround_is_left_alone() -> None:
    whole = skin()
    assert completed(whole) is whole


def test_a_black_lesion_is_never_taken_for_a_surround() -> None:
    at_side = skin()
    at_side[:, :120] = 5  # over two corners
    at_edge = surrounded(skin(), 110)
    rows, columns = np.mgrid[:192, :256]
    at_edge[np.hypot(columns - 210, rows - 96) < 45] = 5  # joined to the surround of a round field
    for pixels in (at_side, at_edge, np.full_like(at_side, 3)):
        assert completed(pixels) is pixels


@pytest.mark.parametrize(("radius", "barred"), [(15, False), (25, False), (30, False), (15, True), (25, True)])
def test_a_black_lesion_that_the_rim_cuts_stays(radius: int, barred: bool) -> None:
    rows, columns = np.mgrid[:192, :256]
    pixels = skin()
    beside = np.abs(columns - 128) if barred else np.hypot(columns - 128, rows - 96)
    rim = 100 if barred else 110
    surround = beside > rim
    lesion = (np.hypot(columns - 128 - rim, rows - 96) < radius) & ~surround
    pixels[lesion] = (42, 34, 38)
    pixels[surround] = 6
    whole = completed(pixels)
    assert (whole[lesion].max(axis=1) < 60).mean() > 0.85
    assert whole[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 90


def test_grey_in_the_black_is_no_part_of_the_field() -> None:
    clean = surrounded(skin(), 100)
    speckled = clean.copy()
    speckled[80:92, :12] = 90
    np.testing.assert_array_equal(completed(speckled)[:, :20], completed(clean)[:, :20])


def test_a_light_in_the_dark_is_no_field() -> None:
    dark = surrounded(skin(), 40)
    assert completed(dark) is dark


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 256), (256, 1), (5, 5)])
def test_the_smallest_photos_pass(shape: tuple[int, int]) -> None:
    for pixels in (np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 200, np.uint8)):
        assert completed(pixels).shape == pixels.shape


@pytest.mark.parametrize("seed", range(8))
def test_what_a_model_sees_has_no_rim(seed: int) -> None:
    photo = Image.fromarray(skin(450, 600))
    rimmed = artefacts.vignette(photo, np.random.default_rng(seed))
    assert np.asarray(rimmed)[[0, 0, -1, -1], [0, -1, 0, -1]].max(axis=1).min() < 48
    seen, clean = fit(rimmed).astype(int), fit(photo).astype(int)
    assert np.abs(seen - clean).mean() < 4
    assert seen[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 90
