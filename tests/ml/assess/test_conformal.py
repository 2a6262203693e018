import json
from dataclasses import replace

import numpy as np
import pytest

from ml.assess import conformal
from ml.classes import BINARY, EIGHT, Taxonomy
from tests.ml.assess.answers import answers


def test_the_quantile_is_the_one_of_the_finite_sample() -> None:
    probabilities = np.stack([np.arange(1, 20) / 20, 1 - np.arange(1, 20) / 20], axis=1)
    labels = np.zeros(19, dtype=int)
    first, second = conformal.fit(probabilities, labels)
    assert first == pytest.approx(0.90)  # the 18th smallest of 0.05, 0.10, ..., 0.95
    assert second == 1.0  # no image at all


@pytest.mark.parametrize(("count", "witnessed"), [(8, False), (9, True)])
def test_fewer_than_nine_images_put_the_class_into_every_set(count: int, witnessed: bool) -> None:
    probabilities = np.column_stack([np.full(count, 0.9), np.full(count, 0.1)])
    quantile = conformal.fit(probabilities, np.zeros(count, dtype=int))[0]
    assert quantile == (pytest.approx(0.1) if witnessed else 1.0)
    assert conformal.sets(np.array([[0.0, 1.0]]), [quantile, 0.5])[0, 0] == (not witnessed)


@pytest.mark.parametrize("taxonomy", [EIGHT, BINARY])
def test_every_class_is_covered_on_new_images(taxonomy: Taxonomy) -> None:
    shares = []
    for seed in range(40):
        both = answers(seed, 1600, taxonomy=taxonomy, lesion=1)
        calibration, new = both.take(np.arange(800)), both.take(np.arange(800, 1600))
        held = conformal.sets(new.probabilities, conformal.fit(calibration.probabilities, calibration.labels))
        right = held[np.arange(800), new.labels]
        shares.append([right[new.labels == place].mean() for place in range(len(taxonomy.codes))])
    mean = np.mean(shares, axis=0)
    assert mean.min() > 0.89
    assert mean.max() < 0.93  # the promise is kept without putting everything into every set


def test_no_set_is_empty_and_a_manifest_can_hold_the_quantiles() -> None:
    case = answers(1)
    quantiles = conformal.fit(case.probabilities, case.labels)
    again = json.loads(json.dumps(quantiles))
    np.testing.assert_array_equal(
        conformal.sets(case.probabilities, again), conformal.sets(case.probabilities, quantiles)
    )
    unsure = np.full((3, 7), 1 / 7)
    nearest = conformal.sets(unsure, [0.01, 0.01, 0.5, 0.01, 0.01, 0.01, 0.01])
    assert nearest.sum(axis=1).tolist() == [1, 1, 1]
    assert nearest[:, 2].all()


def test_a_class_is_left_out_where_the_model_is_unusually_unsure_of_it() -> None:
    assert conformal.sets(np.array([[0.5, 0.3, 0.2]]), [0.4, 0.8, 0.5]).tolist() == [[False, True, False]]


def test_coverage_is_told_for_all_and_for_each_class() -> None:
    case = answers(2)
    held = np.zeros((300, 7), dtype=bool)
    held[:, :2] = True
    rows = {row.group: row for row in conformal.coverage(case, held, draws=50)}
    assert list(rows) == ["all", *case.taxonomy.codes]
    assert (rows["MEL"].coverage.value, rows["BCC"].coverage.value) == (1.0, 0.0)
    assert rows["all"].coverage.value == pytest.approx((case.labels < 2).mean())
    assert rows["all"].coverage.low < rows["all"].coverage.value < rows["all"].coverage.high
    assert rows["all"].set_size.value == 2
    alone = conformal.coverage(replace(case, lesions=np.arange(300)), held, draws=50)[0].coverage
    assert alone != rows["all"].coverage  # drawn by image
    assert (rows["all"].images, rows["all"].lesions) == (300, 150)
    assert np.isnan(conformal.coverage(case.take(case.labels > 0), held[case.labels > 0], draws=5)[1].coverage.value)
