import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ml import metrics
from ml.metrics import Scored
from ml.stack import malignant, softmax


def scored(seed: int, count: int = 200, images_of_a_lesion: int = 2) -> Scored:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, count)
    logits = np.round(rng.normal(0, 1, (count, 7)), 1)
    logits[np.arange(count), labels] += 1
    return Scored(softmax(logits), labels, np.arange(count) // images_of_a_lesion, 0.4)


@given(st.integers(0, 10_000))
def test_they_are_those_of_scikit_learn(seed: int) -> None:
    case = scored(seed)
    ones = np.ones(len(case.labels))
    answer = case.probabilities.argmax(axis=1)
    assert metrics.balanced_accuracy(case, ones) == pytest.approx(balanced_accuracy_score(case.labels, answer))
    score = malignant(case.probabilities)
    assert metrics.malignant_auc(case, ones) == pytest.approx(roc_auc_score(case.is_malignant, score))
    melanoma = roc_auc_score(case.labels == 0, case.probabilities[:, 0])
    assert metrics.melanoma_auc(case, ones) == pytest.approx(melanoma)


def test_a_weight_counts_an_image_as_often(rng: np.random.Generator) -> None:
    case = scored(3, 60)
    weight = rng.integers(0, 4, 60)
    rows = np.repeat(np.arange(60), weight)
    repeated = Scored(case.probabilities[rows], case.labels[rows], case.lesions[rows], case.operating_point)
    for name, metric in metrics.METRICS.items():
        assert metric(case, weight.astype(float)) == pytest.approx(metric(repeated, np.ones(len(rows)))), name


def test_sensitivity_and_specificity_at_the_operating_point() -> None:
    probabilities = np.zeros((4, 7))
    probabilities[:, 0] = [0.4, 0.39, 0.8, 0.1]  # P(MEL)
    probabilities[:, 1] = 1 - probabilities[:, 0]
    case = Scored(probabilities, np.array([0, 0, 1, 1]), np.arange(4), 0.4)
    assert metrics.sensitivity(case, np.ones(4)) == 0.5
    assert metrics.specificity(case, np.ones(4)) == 0.5


def test_calibration_error_of_a_sure_and_wrong_answer_is_one() -> None:
    sure = np.eye(7)[[1, 1, 1]]
    assert metrics.ece(Scored(sure, np.array([0, 0, 0]), np.arange(3), 0.5), np.ones(3)) == pytest.approx(1)
    assert metrics.ece(Scored(sure, np.array([1, 1, 1]), np.arange(3), 0.5), np.ones(3)) == pytest.approx(0)


def test_the_interval_holds_the_value_and_lesions_make_it_wider() -> None:
    loose = metrics.measure(scored(1, 400, images_of_a_lesion=1), draws=200)
    for name, measured in loose.items():
        if name != "ece":  # resampling adds calibration error, so its interval may lie above
            assert measured.low <= measured.value <= measured.high, name
    probabilities, labels = scored(1, 400).probabilities, scored(1, 400).labels
    same = Scored(np.repeat(probabilities[:40], 10, 0), np.repeat(labels[:40], 10), np.repeat(np.arange(40), 10), 0.4)
    by_lesion = metrics.measure(same, draws=200)["malignant_auc"]
    by_image = metrics.measure(Scored(same.probabilities, same.labels, np.arange(400), 0.4), draws=200)["malignant_auc"]
    assert by_lesion.high - by_lesion.low > 1.5 * (by_image.high - by_image.low)


def test_what_the_images_do_not_determine_is_nan() -> None:
    benign = Scored(np.full((3, 7), 1 / 7), np.array([1, 1, 4]), np.arange(3), 0.5)
    measured = metrics.measure(benign, draws=20)
    assert np.isnan(measured["malignant_auc"].value)
    assert np.isnan(measured["sensitivity"].low)
    assert not np.isnan(measured["specificity"].value)
