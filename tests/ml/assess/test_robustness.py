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
    assert all((lost.value, lost.low, lost.high) == (0, 0, 0) for lost in row.difference.values())
    assert row.moved.value == row.switched.value == 0


def test_a_change_costs_what_is_lost_and_its_interval_is_paired() -> None:
    clean = answers(1, 600)
    rng = np.random.default_rng(0)
    worse = replace(clean, probabilities=0.6 * clean.probabilities + 0.4 * rng.dirichlet(np.ones(7), 600))
    same = replace(clean, probabilities=np.clip(clean.probabilities + 1e-9 * rng.normal(size=(600, 7)), 0, 1))
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
