import math

import numpy as np
import pytest

from ml.segmentation.focus import FADE, MARGIN, heat_inside, masked

SKIN = (200, 160, 140)


@pytest.fixture
def mask() -> np.ndarray:
    made = np.zeros((192, 256), dtype=bool)
    made[70:120, 90:160] = True
    return made


@pytest.fixture
def picture(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    made = np.clip(rng.normal(SKIN, 12, (192, 256, 3)), 0, 255).astype(np.uint8)
    made[mask] = (90, 60, 50)
    return made


def test_the_lesion_and_its_margin_stay_and_the_rest_is_mean_skin(picture: np.ndarray, mask: np.ndarray) -> None:
    seen = masked(picture, mask)
    kept = int(MARGIN * 256)
    np.testing.assert_array_equal(seen[70 - kept : 120 + kept, 90:160], picture[70 - kept : 120 + kept, 90:160])
    faded = math.ceil((MARGIN + FADE) * 256) + 1
    far = np.concatenate([seen[:, : 90 - faded].reshape(-1, 3), seen[:, 160 + faded :].reshape(-1, 3)])
    assert (far == far[0]).all()
    np.testing.assert_allclose(far[0], SKIN, atol=1)


def test_between_them_the_picture_fades(picture: np.ndarray, mask: np.ndarray) -> None:
    picture[:] = np.where(mask[..., None], picture, np.uint8(0))
    picture[0] = 255  # so that the mean is brighter than what is beside the lesion
    start, end = 160 + int(MARGIN * 256), 160 + math.ceil((MARGIN + FADE) * 256) + 1
    ramp = masked(picture, mask)[95, start:end, 0].astype(int)
    assert (np.diff(ramp) >= 0).all()
    assert len(set(ramp)) > 2


@pytest.mark.parametrize("value", [False, True])
def test_without_a_lesion_or_without_skin_the_picture_stays(picture: np.ndarray, value: bool) -> None:
    np.testing.assert_array_equal(masked(picture, np.full((192, 256), value)), picture)


def test_heat_counts_by_where_it_lies(mask: np.ndarray) -> None:
    heat = np.zeros((192, 256), dtype=np.float32)
    heat[80, 100] = 3
    heat[10, 10] = 1
    assert heat_inside(heat, mask) == pytest.approx(0.75)


def test_a_coarse_cell_counts_by_the_share_that_is_lesion() -> None:
    mask = np.zeros((90, 120), dtype=bool)
    mask[:, :65] = True  # half of the seventh of twelve columns
    heat = np.zeros((9, 12), dtype=np.float32)
    heat[4, 6] = 0.8
    assert heat_inside(heat, mask) == pytest.approx(0.5)
    assert heat_inside(np.ones((9, 12)), mask) == pytest.approx(65 / 120)


def test_no_heat_has_no_place(mask: np.ndarray) -> None:
    assert math.isnan(heat_inside(np.zeros((9, 12)), mask))
