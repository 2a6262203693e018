"""Dim photos come to the light of those that the models learnt from, and others stay as they are."""

import numpy as np
import pytest

from ml.imaging.light import LEAST, MOST, brightened
from ml.imaging.preprocess import preprocess
from ml.synthetic import draw


def lit(pixels: np.ndarray) -> float:
    return float(np.percentile(pixels.max(axis=2), 90))


@pytest.fixture
def photo() -> np.ndarray:
    drawn = np.array(draw("NV", 0, (256, 192)))
    return np.clip(np.round(drawn * (215 / lit(drawn))), 0, 255).astype(np.uint8)


def test_a_photo_in_good_light_stays_as_it_is(photo: np.ndarray) -> None:
    assert brightened(photo) is photo


@pytest.mark.parametrize("exposure", [0.7, 0.5, 0.35])
def test_a_dim_photo_comes_to_the_same_light_whatever_it_lacked(photo: np.ndarray, exposure: float) -> None:
    dim = np.round(photo * exposure).astype(np.uint8)
    assert lit(dim) < LEAST
    assert lit(brightened(dim)) == pytest.approx(LEAST, abs=4)
    wanted = photo * (LEAST / lit(photo))
    assert np.abs(brightened(dim) - wanted).mean() < 1.5  # the colours are those of the photo


def test_what_is_nearly_black_is_not_made_of_grain(photo: np.ndarray) -> None:
    black = np.round(photo * 0.05).astype(np.uint8)
    assert lit(brightened(black)) == pytest.approx(MOST * lit(black), abs=4)
    assert brightened(np.zeros_like(photo)).max() == 0


def test_nothing_wraps_around(photo: np.ndarray) -> None:
    """A light in a dim photo stays the brightest there is."""
    dim = photo // 3
    dim[:10, :10] = 250
    assert (brightened(dim)[:10, :10] == 255).all()


def test_every_frame_is_lit(photo: np.ndarray) -> None:
    assert lit(preprocess(photo // 2)) == pytest.approx(LEAST, abs=4)
