import numpy as np
import pytest

from ml.assess import not_lesions


@pytest.mark.parametrize("kind", not_lesions.KINDS)
def test_a_picture_is_drawn_from_its_seed(kind: str) -> None:
    picture = not_lesions.draw(kind, 1, (160, 120))
    assert (picture.size, picture.mode) == ((160, 120), "RGB")
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(not_lesions.draw(kind, 1, (160, 120))))
    assert (np.asarray(picture) != np.asarray(not_lesions.draw(kind, 2, (160, 120)))).any()


def test_bare_skin_has_a_tone_of_skin_and_nothing_that_stands_out() -> None:
    for seed in range(8):
        pixels = np.asarray(not_lesions.draw(not_lesions.BARE_SKIN, seed, (160, 120)), dtype=np.float64)
        red, green, blue = pixels.mean(axis=(0, 1))
        assert red > green > blue
        assert pixels.std(axis=(0, 1)).max() < 25


def test_there_is_no_other_kind() -> None:
    with pytest.raises(KeyError):
        not_lesions.draw("cat", 0)


def test_rates_have_wilson_intervals() -> None:
    all_told, half, none = not_lesions.rates(
        {"text": np.ones(20, dtype=bool), "face": np.arange(20) < 10, "bare_skin": np.zeros(20, dtype=bool)}
    )
    assert all_told.share == all_told.high == 1
    assert all_told.low == pytest.approx(20 / (20 + 1.959964**2))
    assert (half.flagged, half.pictures) == (10, 20)
    assert half.low == pytest.approx(0.2993, abs=1e-4)
    assert half.high == pytest.approx(0.7007, abs=1e-4)
    assert none.low == 0
    assert none.high == pytest.approx(1 - all_told.low)
