from dataclasses import replace

import numpy as np
import pytest

from ml import metrics
from ml.assess import robustness
from tests.ml.assess.answers import answers


def test_no_change_costs_nothing() -> None:
    clean = answers(1)
    (row,) = robustness.costs(clean, {"blur": clean}, draws=50)
    assert row.change == "blur"
    assert all(lost.value == 0 for lost in row.difference.values())
    assert row.moved.value == row.switched.value == 0


def test_no_loss_of_a_few_lesions_leaves_open_what_they_cannot_show() -> None:
    """Where no draw differs: Tango's interval of a share is z² / (n + z²) wide to both sides, and an AUC has none."""
    clean = answers(1)
    (row,) = robustness.costs(clean, {"blur": clean}, draws=50)
    for name, side in (("sensitivity", clean.is_malignant), ("specificity", ~clean.is_malignant)):
        open_to = 1.959964**2 / (len(set(clean.lesions[side])) + 1.959964**2)
        assert (row.difference[name].low, row.difference[name].high) == pytest.approx((-open_to, open_to), abs=1e-5)
    assert np.isnan([row.difference["malignant_auc"].low, row.difference["malignant_auc"].high]).all()


def test_a_change_costs_what_is_lost_and_its_interval_is_paired() -> None:
    clean = answers(1, 600)
    rng = np.random.default_rng(0)
    worse = replace(clean, probabilities=0.6 * clean.probabilities + 0.4 * rng.dirichlet(np.ones(7), 600))
    same = replace(clean, probabilities=np.clip(clean.probabilities + 1e-4 * rng.normal(size=(600, 7)), 0, 1))
    lost, kept = robustness.costs(clean, {"blur": worse, "jpeg_30": same}, draws=200)
    area = lost.difference["malignant_auc"]
    ones = np.ones(600)
    assert lost.after["malignant_auc"] == pytest.approx(metrics.malignant_auc(worse, ones))
    assert area.value == pytest.approx(metrics.malignant_auc(worse, ones) - metrics.malignant_auc(clean, ones))
    assert area.low < area.value < area.high < 0
    alone = metrics.measure(clean, draws=200)["malignant_auc"]
    assert kept.difference["malignant_auc"].high - kept.difference["malignant_auc"].low < (alone.high - alone.low) / 100
    assert lost.moved.value == pytest.approx(np.abs(worse.p_malignant - clean.p_malignant).mean())
    assert lost.switched.value == pytest.approx((worse.referred != clean.referred).mean())


def test_other_images_are_not_compared() -> None:
    with pytest.raises(ValueError, match="after blur"):
        robustness.costs(answers(1), {"blur": answers(2)}, draws=5)
