"""What chance alone makes of calibration errors."""

from dataclasses import replace

import numpy as np
import pytest

from ml import metrics
from ml.assess import chance
from tests.ml.assess.answers import answers


@pytest.mark.parametrize("lesion", [1, 2])
def test_labels_that_follow_the_probabilities_are_measured_within_what_chance_gives(lesion: int) -> None:
    said = answers(1, 2000, lesion=lesion)
    rng = np.random.default_rng(2)
    true = np.array([rng.choice(7, p=row) for row in said.probabilities])
    errors = chance.calibration_errors(replace(said, labels=true), draws=200)
    for name in chance.ERRORS:
        measured = metrics.ALL_METRICS[name](replace(said, labels=true), np.ones(2000))
        assert 0 < errors[name].low < errors[name].value < errors[name].high
        assert measured < errors[name].high


def test_a_model_that_is_too_sure_is_measured_beyond_what_chance_gives() -> None:
    said = answers(1, 2000, signal=0)
    for name, error in chance.calibration_errors(said, draws=200).items():
        assert metrics.ALL_METRICS[name](said, np.ones(2000)) > error.high


def test_fewer_lesions_leave_more_to_chance() -> None:
    many, few, alike = answers(1, 2000, lesion=1), answers(1, 200, lesion=1), answers(1, 2000, lesion=10)
    size = [chance.calibration_errors(said, draws=100)["ece"].value for said in (many, alike, few)]
    assert size[0] < size[1] < size[2]


def test_draws_do_not_depend_on_the_labels() -> None:
    said = answers(1, 100)
    other = replace(said, labels=np.roll(said.labels, 1))
    assert chance.calibration_errors(said, draws=5) == chance.calibration_errors(other, draws=5)
