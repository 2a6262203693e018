from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from ml import metrics
from ml.classes import BINARY, EIGHT, SEVEN, Taxonomy
from ml.metrics import Scored
from ml.metrics.bootstrap import lesion_weights
from ml.metrics.intervals import interval
from ml.metrics.measured import Measured
from ml.stack import softmax


def scored(seed: int, count: int = 200, images_of_a_lesion: int = 2, taxonomy: Taxonomy = SEVEN) -> Scored:
    rng = np.random.default_rng(seed)
    classes = len(taxonomy.codes)
    labels = rng.integers(0, classes, count)
    logits = np.round(rng.normal(0, 1, (count, classes)), 1)
    logits[np.arange(count), labels] += 1
    return Scored(softmax(logits), labels, np.arange(count) // images_of_a_lesion, 0.4, taxonomy)


@given(st.integers(0, 10_000))
def test_they_are_those_of_scikit_learn(seed: int) -> None:
    case = scored(seed)
    ones = np.ones(len(case.labels))
    answer = case.probabilities.argmax(axis=1)
    assert metrics.balanced_accuracy(case, ones) == pytest.approx(balanced_accuracy_score(case.labels, answer))
    score = case.probabilities[:, list(SEVEN.malignant_indices)].sum(axis=1)
    assert metrics.malignant_auc(case, ones) == pytest.approx(roc_auc_score(case.is_malignant, score))
    melanoma = roc_auc_score(case.labels == 0, case.probabilities[:, 0])
    assert metrics.melanoma_auc(case, ones) == pytest.approx(melanoma)


@pytest.mark.parametrize("taxonomy", [SEVEN, EIGHT, BINARY])
def test_so_are_those_of_an_assessment_in_any_taxonomy(taxonomy: Taxonomy) -> None:
    case = scored(5, taxonomy=taxonomy)
    ones = np.ones(len(case.labels))
    answer = case.probabilities.argmax(axis=1)
    classes = range(len(taxonomy.codes))
    truth = [case.labels == place for place in classes]
    areas = [roc_auc_score(truth[place], case.probabilities[:, place]) for place in classes]
    assert metrics.accuracy(case, ones) == pytest.approx(accuracy_score(case.labels, answer))
    assert metrics.macro_auc(case, ones) == pytest.approx(np.mean(areas))
    score = case.probabilities[:, list(taxonomy.malignant_indices)].sum(axis=1)
    assert metrics.malignant_auc(case, ones) == pytest.approx(roc_auc_score(case.is_malignant, score))
    assert metrics.average_precision(case, ones) == pytest.approx(average_precision_score(case.is_malignant, score))
    false_alarms, hits, _ = roc_curve(case.is_malignant, score, drop_intermediate=False)
    best = 1 - false_alarms[hits >= 0.95].min()
    assert metrics.specificity_at_95_sensitivity(case, ones) == pytest.approx(best)
    np.testing.assert_array_equal(metrics.confusion(case), confusion_matrix(case.labels, answer, labels=classes))
    for place in classes:
        values = {name: metric(case, ones) for name, metric in metrics.class_metrics(place).items()}
        assert values["auc"] == pytest.approx(areas[place])
        assert values["sensitivity"] == pytest.approx(recall_score(truth[place], answer == place))
        precision = average_precision_score(truth[place], case.probabilities[:, place])
        assert values["average_precision"] == pytest.approx(precision)


def test_a_class_is_counted_as_named_not_as_most_probable() -> None:
    probabilities = np.tile([0.2, 0.8, 0, 0, 0, 0, 0], (4, 1))
    labels = np.array([0, 0, 1, 1])
    plain = Scored(probabilities, labels, np.arange(4), 0.4)
    decided = Scored(probabilities, labels, np.arange(4), 0.4, decisions=np.array([0, 0, 1, 0]))
    ones = np.ones(4)
    assert (metrics.balanced_accuracy(plain, ones), metrics.accuracy(plain, ones)) == (0.5, 0.5)
    assert (metrics.balanced_accuracy(decided, ones), metrics.accuracy(decided, ones)) == (0.75, 0.75)
    assert metrics.confusion(decided)[:2, :2].tolist() == [[2, 0], [1, 1]]
    assert metrics.ece(decided, ones) == metrics.ece(plain, ones)
    assert metrics.confusion(decided.take(np.array([0, 3])))[:2, :2].tolist() == [[1, 0], [1, 0]]


def test_a_weight_counts_an_image_as_often(rng: np.random.Generator) -> None:
    case = scored(3, 60)
    weight = rng.integers(0, 4, 60)
    rows = np.repeat(np.arange(60), weight)
    repeated = Scored(case.probabilities[rows], case.labels[rows], case.lesions[rows], case.operating_point)
    for name, metric in {**metrics.ALL_METRICS, **metrics.class_metrics(2)}.items():
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


def test_calibration_of_the_malignant_probability_is_told_within_its_bins() -> None:
    p = np.repeat([0.05, 0.25, 0.9], 100)
    probabilities = np.zeros((300, 7))
    probabilities[:, 0], probabilities[:, 1] = p, 1 - p
    truth = np.concatenate([np.arange(100) >= share for share in (5, 25, 70)]).astype(int)  # the last too sure by 0.2
    case = Scored(probabilities, truth, np.arange(300), 0.5)
    assert metrics.malignant_ece(case, np.ones(300)) == pytest.approx(0.2 / 3)
    spread = scored(2, 600, 1)
    places, counts = np.unique(metrics.equal_mass_bins(spread, np.ones(600)), return_counts=True)
    assert len(places) == metrics.BINS
    assert counts.min() >= 30


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


def ends(measured: Measured) -> tuple[float, float, float]:
    return measured.value, measured.low, measured.high


def test_a_share_of_all_keeps_an_interval_and_what_is_no_share_has_none() -> None:
    """Twelve malignant lesions of two images, all referred: the share may still be as low as 0.757 (Wilson)."""
    p = np.repeat([0.9, 0.1], [24, 20])
    probabilities = np.zeros((44, 7))
    probabilities[:, 0], probabilities[:, 1] = p, 1 - p
    case = Scored(probabilities, np.repeat([0, 1], [24, 20]), np.arange(44) // 2, 0.5)
    told = metrics.measure(case, draws=50, metrics={**metrics.ALL_METRICS, **metrics.class_metrics(1)})
    for name, lesions in (("accuracy", 22), ("specificity", 10), ("sensitivity", 10)):  # the last of class 1 alone
        assert ends(told[name]) == pytest.approx((1, lesions / (lesions + 1.96**2), 1), abs=1e-4), name
    assert ends(metrics.measure(case, draws=50)["sensitivity"]) == pytest.approx((1, 0.7575, 1), abs=1e-4)
    for name in ("malignant_auc", "balanced_accuracy", "auc"):
        assert ends(told[name]) == pytest.approx((1, np.nan, np.nan), nan_ok=True), name
    missed = metrics.measure(replace(case, operating_point=0.95), draws=50)["sensitivity"]
    assert ends(missed) == pytest.approx((0, 0, 0.2425), abs=1e-4)
    assert ends(metrics.measure_mean(np.zeros(12, bool), np.arange(12), 50)) == pytest.approx((0, 0, 0.2425), abs=1e-4)
    sizes = metrics.measure_mean(np.ones(12), np.arange(12), draws=50)  # a mean that is no share
    assert ends(sizes) == pytest.approx((1, np.nan, np.nan), nan_ok=True)


def test_an_interval_holds_95_percent_of_the_draws_and_a_draw_as_many_lesions_as_there_are() -> None:
    assert interval(np.array([*range(101), np.nan])) == (2.5, 97.5)
    weights = list(lesion_weights(np.array(["b", "a", "b", "c"]), 50, 0))
    assert {weight[[0, 1, 3]].sum() for weight in weights} == {3}
    assert all(weight[0] == weight[2] for weight in weights)
    assert {0, 1, 2, 3} == {count for weight in weights for count in weight}


def test_a_class_without_images_has_no_say_in_the_mean_of_all() -> None:
    case = scored(4)
    some = case.take(case.labels != 3)
    areas = [metrics.class_auc(some, np.ones(len(some.labels)), place) for place in range(7)]
    assert np.isnan(areas[3])
    assert metrics.macro_auc(some, np.ones(len(some.labels))) == pytest.approx(np.nanmean(areas))
    assert scored(4, taxonomy=BINARY).take(np.arange(3)).taxonomy == BINARY


def test_what_the_images_do_not_determine_is_nan() -> None:
    benign = Scored(np.full((3, 7), 1 / 7), np.array([1, 1, 4]), np.arange(3), 0.5)
    measured = metrics.measure(benign, draws=20)
    assert np.isnan(measured["malignant_auc"].value)
    assert np.isnan(measured["sensitivity"].low)
    assert not np.isnan(measured["specificity"].value)
    ones = np.ones(3)
    assert np.isnan(
        [metrics.specificity_at_95_sensitivity(benign, ones), metrics.average_precision(benign, ones)]
    ).all()
    assert np.isnan(metrics.melanoma_auc(scored(1, taxonomy=BINARY), np.ones(200)))
    nothing = metrics.measure(benign.take(np.zeros(3, dtype=bool)), draws=5, metrics=metrics.ALL_METRICS)
    assert all(np.isnan(measured.value) for measured in nothing.values())


def test_a_mean_leaves_out_what_is_not_known() -> None:
    values = np.array([1.0, 0.0, np.nan, 0.5] * 20)
    measured = metrics.measure_mean(values, np.arange(80), draws=200)
    assert measured.value == pytest.approx(0.5)
    assert 0.3 < measured.low < 0.5 < measured.high < 0.7
    assert np.isnan(metrics.measure_mean(np.full(3, np.nan), np.arange(3)).value)
