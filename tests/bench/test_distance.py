"""A lesion that is set into a larger frame fills the share that was asked for, and nothing else is new in it."""

import cv2
import numpy as np
import pytest

from ml.imaging.quality import check, measure
from tests.bench.distance import further_away
from tests.ml.imaging.samples import PIGMENT, skin_photo


def picture(width: int = 200, height: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """A drawn photo and the outline of its spot."""
    pixels = np.asarray(skin_photo(width, height))
    smooth = cv2.GaussianBlur(pixels, (0, 0), 2)
    return pixels, smooth[..., 0] < 160


def far(share: float, seed: int = 0, size: tuple[int, int] = (200, 150)) -> np.ndarray:
    return further_away(*picture(*size), share, np.random.default_rng(seed))


@pytest.mark.parametrize("size", [(200, 150), (150, 200)])
@pytest.mark.parametrize("share", [0.05, 0.01])
def test_the_lesion_fills_the_share_and_the_frame_keeps_its_shape(share: float, size: tuple[int, int]) -> None:
    frame = far(share, size=size)
    dark = cv2.GaussianBlur(frame, (0, 0), 2)[..., 0] < 160
    assert dark.mean() == pytest.approx(share, rel=0.05)
    assert frame.shape[1] / frame.shape[0] == pytest.approx(size[0] / size[1], rel=0.01)


def test_the_picture_is_in_it_as_it_was() -> None:
    pixels, _ = picture()
    found = cv2.matchTemplate(far(0.03), pixels, cv2.TM_SQDIFF)
    assert found.min() == 0


def test_there_is_one_lesion_alone_and_no_seam() -> None:
    frame = far(0.02)
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        (cv2.GaussianBlur(frame, (0, 0), 3)[..., 0] < (214 + PIGMENT[0]) // 2).astype(np.uint8)
    )
    assert len(stats) == 2  # the ground and the spot
    assert check(frame).codes == ("too_far",)
    assert measure(frame).extent == pytest.approx(0.02, abs=0.02)


def test_chance_is_seeded() -> None:
    np.testing.assert_array_equal(far(0.03, seed=1), far(0.03, seed=1))
    assert (far(0.03, seed=1) != far(0.03, seed=2)).any()


def test_a_lesion_that_is_small_already_stays_as_large_as_it_is() -> None:
    pixels, lesion = picture()
    np.testing.assert_array_equal(further_away(pixels, lesion, 0.9, np.random.default_rng(0)), pixels)


def test_a_lesion_that_is_cut_off_has_no_other_distance() -> None:
    pixels, lesion = picture()
    cut = lesion.copy()
    cut[70:, 100] = True
    for mask in (cut, np.zeros_like(lesion)):
        with pytest.raises(ValueError, match="inside"):
            further_away(pixels, mask, 0.03, np.random.default_rng(0))
