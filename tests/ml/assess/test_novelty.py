from pathlib import Path

import numpy as np
import pytest

from ml.assess import novelty
from ml.assess.novelty import Novelty

WIDTH = 120


def features(seed: int, count: int) -> np.ndarray:
    """Twenty strong directions in a space where the others hardly vary much, far from the origin."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0]
    rng = np.random.default_rng(seed)
    scales = np.where(np.arange(WIDTH) < 20, 3.0, 0.5)
    return ((rng.normal(size=(count, WIDTH)) * scales) @ basis + 5).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Novelty:
    return novelty.fit(features(1, 2000), features(2, 1000), components=30)


def test_one_new_lesion_in_a_hundred_lies_beyond_the_threshold(fitted: Novelty) -> None:
    assert fitted.is_novel(features(3, 4000)).mean() == pytest.approx(0.01, abs=0.006)
    assert fitted.distance(features(3, 4000)).mean() == pytest.approx(1, abs=0.1)


def test_it_is_the_mahalanobis_distance(fitted: Novelty) -> None:
    train, new = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (features(1, 2000), features(3, 50)))
    centred = new - train.mean(axis=0)
    exact = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(train.T)), centred) / WIDTH)
    assert np.corrcoef(fitted.distance(features(3, 50)), exact)[0, 1] > 0.9


def test_a_small_step_where_lesions_hardly_vary_is_novel_and_a_large_one_where_they_do_is_not(fitted: Novelty) -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0]
    usual, rare = 5 + 10 * basis[0], 5 + 10 * basis[-1]
    assert not fitted.is_novel(usual[None])[0]
    assert fitted.is_novel(rare[None])[0]


def test_only_the_direction_of_features_counts(fitted: Novelty) -> None:
    np.testing.assert_allclose(fitted.distance(0.2 * features(3, 10)), fitted.distance(features(3, 10)), rtol=1e-5)
    assert np.isfinite(fitted.distance(np.zeros((1, WIDTH)))).all()


def test_it_survives_its_file_and_the_file_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    large = novelty.fit(rng.normal(size=(200, 1280)).astype(np.float32), rng.normal(size=(100, 1280)))
    large.save(tmp_path / "novelty.npz")
    assert (tmp_path / "novelty.npz").stat().st_size < 200_000
    again = Novelty.load(tmp_path / "novelty.npz")
    new = rng.normal(size=(5, 1280))
    np.testing.assert_array_equal(again.distance(new), large.distance(new))
    assert again.threshold == large.threshold


def test_fewer_images_than_features_still_give_a_finite_distance() -> None:
    few = novelty.fit(features(1, 30), features(2, 30), components=40)
    assert np.isfinite(few.distance(features(3, 10))).all()


def test_it_needs_directions_that_are_left_over() -> None:
    with pytest.raises(ValueError, match="more than 120"):
        novelty.fit(features(1, 200), features(2, 10), components=WIDTH)
