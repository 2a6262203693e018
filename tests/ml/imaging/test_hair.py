import cv2
import numpy as np
import pytest

from ml.imaging.hair import hairs, remove_hair

SKIN = (214, 168, 150)
LESION = (122, 78, 58)


@pytest.fixture
def clean(rng: np.random.Generator) -> np.ndarray:
    """Skin with a little grain, and a lesion with clods."""
    picture = np.full((192, 256, 3), SKIN, dtype=np.uint8)
    cv2.ellipse(picture, (128, 96), (60, 45), 0, 0, 360, LESION, -1)
    for x, y in rng.integers(-28, 28, (12, 2)):
        cv2.circle(picture, (128 + int(x), 96 + int(y)), 4, (70, 44, 36), -1)
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def hairy(picture: np.ndarray, rng: np.random.Generator, width: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The picture under twelve bent dark hairs, and where they lie."""
    under = picture.copy()
    place = np.zeros(picture.shape[:2], np.uint8)
    for _ in range(12):
        start, bend, end = rng.uniform((0, 0), (256, 192), (3, 2))
        along = np.linspace(0, 1, 60)[:, None]
        curve = (1 - along) ** 2 * start + 2 * along * (1 - along) * (start + end + 0.2 * bend) / 2.2 + along**2 * end
        points = [curve.round().astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(under, points, False, (38, 28, 26), width, cv2.LINE_AA)
        cv2.polylines(place, points, False, 1, width)
    return under, place.astype(bool)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each pixel, in levels."""
    return np.abs(a.astype(float) - b).mean(axis=-1)


@pytest.mark.parametrize("width", [1, 2])
def test_hairs_are_gone(clean: np.ndarray, rng: np.random.Generator, width: int) -> None:
    under, place = hairy(clean, rng, width)
    freed = remove_hair(under)
    assert freed.dtype == np.uint8
    assert freed.shape == clean.shape
    assert difference(freed, clean)[place].mean() < 0.3 * difference(under, clean)[place].mean()
    assert hairs(freed).mean() < 0.05 * place.mean()


def test_a_lesion_without_hair_barely_changes(clean: np.ndarray) -> None:
    assert difference(remove_hair(clean), clean).mean() < 0.05


def test_a_red_vessel_stays(clean: np.ndarray) -> None:
    vessel = clean.copy()
    cv2.line(vessel, (20, 30), (110, 60), (SKIN[0], 90, 84), 2, cv2.LINE_AA)
    np.testing.assert_array_equal(remove_hair(vessel), vessel)


def test_clods_and_short_lines_are_no_hair(clean: np.ndarray) -> None:
    spotted = clean.copy()
    for x in range(20, 240, 20):
        cv2.circle(spotted, (x, 20), 3, (60, 40, 36), -1)
        cv2.line(spotted, (x, 170), (x + 8, 170), (60, 40, 36), 1)
    np.testing.assert_array_equal(remove_hair(spotted), spotted)


def test_the_picture_given_is_left_as_it_was(clean: np.ndarray, rng: np.random.Generator) -> None:
    under, _ = hairy(clean, rng)
    before = under.copy()
    remove_hair(under)
    np.testing.assert_array_equal(under, before)
