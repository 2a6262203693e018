import numpy as np
import pytest
from PIL import Image

from ml import synthetic
from ml.assess.artefacts import ARTEFACTS
from ml.assess.degradations import DEGRADATIONS

CHANGES = {**DEGRADATIONS, **ARTEFACTS}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return synthetic.draw("MEL", 3, (240, 180))


def pixels(name: str, photo: Image.Image, seed: int = 0) -> np.ndarray:
    return np.asarray(CHANGES[name](photo, np.random.default_rng(seed)), dtype=np.float64)


def detail(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image, axis=1)).mean())


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("size", [(240, 180), (90, 120)])
def test_a_change_is_seeded_visible_and_of_the_same_size(name: str, photo: Image.Image, size: tuple[int, int]) -> None:
    photo = photo.resize(size)
    before = np.asarray(photo).copy()
    changed = pixels(name, photo)
    assert changed.shape == before.shape
    np.testing.assert_array_equal(changed, pixels(name, photo))
    assert np.abs(changed - before).mean() > 0.1
    np.testing.assert_array_equal(np.asarray(photo), before)  # the photo given stays as it is


@pytest.mark.parametrize("name", ["colour_cast", "noise", *ARTEFACTS])
def test_another_seed_is_another_change(name: str, photo: Image.Image) -> None:
    assert (pixels(name, photo, 1) != pixels(name, photo, 2)).any()


def test_each_fault_is_the_one_that_it_is_named_for(photo: Image.Image) -> None:
    before = np.asarray(photo, dtype=np.float64)
    assert detail(pixels("blur", photo)) < 0.8 * detail(before)
    assert detail(pixels("half_resolution", photo)) < 0.8 * detail(before)
    assert detail(pixels("noise", photo)) > 1.5 * detail(before)
    gain = pixels("colour_cast", photo).mean(axis=(0, 1)) / before.mean(axis=(0, 1))
    assert abs(gain[0] - gain[2]) > 0.1
    assert (gain[0] - 1) * (gain[2] - 1) < 0
    flat = Image.new("RGB", (240, 180), (180, 140, 120))
    np.testing.assert_allclose(pixels("jpeg_30", flat), np.asarray(flat, dtype=np.float64), atol=4)


@pytest.mark.parametrize("seed", range(5))
def test_a_ruler_lies_at_one_side_hair_crosses_and_ink_is_little(seed: int) -> None:
    plain = Image.new("RGB", (240, 180), (200, 160, 140))
    touched = {name: (pixels(name, plain, seed) != np.asarray(plain)).any(axis=2) for name in ARTEFACTS}
    middle = np.s_[72:108, 96:144]
    assert not touched["ruler"][middle].any()
    assert touched["hair"][36:144, 48:192].any()
    assert touched["ruler"][:30].any() != touched["ruler"][-30:].any()
    assert 0 < touched["ink"].mean() < 0.15
