"""What a retraining may conclude from few images: what is measured, and when stack and thresholds are set anew."""

import numpy as np
import pandas as pd
import pytest

from ml.classes import CLASSES
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.retrain import refitted, supports_stack, to_measure


def test_only_what_chance_chose_is_measured_where_that_is_enough() -> None:
    labels = np.repeat([0, 1], [6, 8])
    rows = pd.DataFrame({"drawn": [*([True] * 3 + [False] * 3), *([True] * 4 + [False] * 4)]})
    prints, lesions = np.zeros((14, 4), np.uint64), np.arange(14).astype(str)
    test = Examples(np.zeros((14, 1, 1, 3), np.uint8), labels, lesions, prints, rows=rows)
    measured = to_measure(test, {"malignant": 3, "benign": 4})
    assert measured.rows["drawn"].all()
    assert len(measured) == 7
    assert len(to_measure(test, {"malignant": 4, "benign": 4})) == 14
    assert len(to_measure(measured, {"malignant": 4, "benign": 4})) == 7


def test_an_operating_point_that_sends_the_likely_sick_home_is_refused() -> None:
    """As of images that the members know by heart: every malignant one is sure, and so nothing less is referred."""
    labels = np.repeat(np.arange(7), 40)
    empty = np.zeros((len(labels), 4), np.uint64)
    validation = Examples(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, np.arange(len(labels)).astype(str), empty)
    by_heart = 20 * np.eye(7)[labels][:, None]
    with pytest.raises(DataError) as refused:
        refitted(by_heart, validation, seed=0)
    assert refused.value.code == "implausible_threshold"
    noise = np.random.default_rng(0).normal(0, 1, by_heart.shape)
    assert refitted(by_heart / 20 + noise, validation, seed=0).thresholds["routine_referral"] < 0.5


def test_the_stack_is_refitted_only_on_enough_lesions_of_every_class() -> None:
    def validation(of_each: int, images: int = 1) -> Examples:
        labels = np.repeat(np.arange(7), of_each * images)
        lesions = np.repeat(np.arange(7 * of_each), images).astype(str)
        return Examples(
            np.zeros((len(labels), 1, 1, 3), np.uint8), labels, lesions, np.zeros((len(labels), 4), np.uint64)
        )

    assert len(CLASSES) == 7
    assert supports_stack(validation(30))
    assert not supports_stack(validation(9))
    assert not supports_stack(validation(20))  # 140 lesions in all
    assert not supports_stack(validation(9, images=10))  # many images of few lesions
