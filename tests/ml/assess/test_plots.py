from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml import metrics
from ml.assess import conformal, plots
from ml.assess.subgroups import Subgroup
from ml.classes import BINARY, EIGHT, SEVEN, Taxonomy
from ml.metrics.measured import Measured
from tests.ml.assess.answers import answers


def words(path: Path) -> str:
    return path.read_text()


@pytest.mark.parametrize("taxonomy", [SEVEN, EIGHT, BINARY])
def test_the_matrix_tells_counts_and_shares(tmp_path: Path, taxonomy: Taxonomy) -> None:
    case = answers(1, taxonomy=taxonomy)
    plots.confusion_matrix(case, tmp_path / "matrix.svg")
    drawn, counts = words(tmp_path / "matrix.svg"), metrics.confusion(case)
    for place, code in enumerate(taxonomy.codes):
        assert f"{code} ({counts[place].sum()})" in drawn
        assert f">{counts[place, place]}<" in drawn
        assert f"{counts[place, place] / counts[place].sum():.0%}" in drawn


@pytest.mark.parametrize("taxonomy", [SEVEN, EIGHT, BINARY])
def test_each_curve_carries_its_area(tmp_path: Path, taxonomy: Taxonomy) -> None:
    case = answers(1, taxonomy=taxonomy)
    plots.roc_and_precision_recall(case, tmp_path / "curves.svg")
    drawn, ones = words(tmp_path / "curves.svg"), np.ones(300)
    for place, code in enumerate(taxonomy.codes):
        assert f"{code} {metrics.class_auc(case, ones, place):.3f}" in drawn
        assert f"{code} {metrics.class_average_precision(case, ones, place):.3f}" in drawn
    assert (f"malignant {metrics.malignant_auc(case, ones):.3f}" in drawn) == (taxonomy is not BINARY)
    assert "operating point" in drawn


def test_a_class_without_images_has_no_curve(tmp_path: Path) -> None:
    case = answers(1)
    plots.roc_and_precision_recall(case.take(case.labels != 5), tmp_path / "curves.svg")
    assert ">DF " not in words(tmp_path / "curves.svg")
    benign = case.take(~case.is_malignant)
    plots.roc_and_precision_recall(benign, tmp_path / "benign.svg")
    assert "operating point" not in words(tmp_path / "benign.svg")


def test_reliability_carries_both_errors(tmp_path: Path) -> None:
    case = answers(2)
    plots.reliability(case, tmp_path / "reliability.svg")
    drawn, ones = words(tmp_path / "reliability.svg"), np.ones(300)
    assert f"Top class: expected calibration error {metrics.ece(case, ones):.3f}" in drawn
    assert f"Malignant: expected calibration error {metrics.malignant_ece(case, ones):.3f}" in drawn


def test_training_curves_name_both_sides(tmp_path: Path) -> None:
    epochs = [{"epoch": n, "loss": 1 / n, "val_loss": 2 / n, "accuracy": 0.5} for n in (1, 2, 3)]
    plots.training_curves(epochs, tmp_path / "training.svg", "mobilenet")
    drawn = words(tmp_path / "training.svg")
    assert all(f">{label}<" in drawn for label in ("loss, train", "loss, validation", "accuracy, train", "mobilenet"))
    plots.training_curves([{"loss": 1.0}], tmp_path / "one.svg")
    assert "loss, train" in words(tmp_path / "one.svg")


def test_one_epoch_tells_training_from_validation(tmp_path: Path) -> None:
    """There are no lines by whose dashes they could be told apart."""
    first, swapped = tmp_path / "first.png", tmp_path / "swapped.png"
    plots.training_curves([{"loss": 1.0, "val_loss": 2.0}], first)
    plots.training_curves([{"loss": 2.0, "val_loss": 1.0}], swapped)
    with Image.open(first) as one, Image.open(swapped) as other:
        assert one.size == other.size
        assert one.convert("RGB").tobytes() != other.convert("RGB").tobytes()


def test_a_forest_has_a_row_for_each_group_and_says_what_is_not_determined(tmp_path: Path) -> None:
    known, unknown = Measured(0.9, 0.85, 0.95), Measured(np.nan, np.nan, np.nan)
    rows = [
        Subgroup("sex", "male", 90, 40, 12, {"malignant_auc": known}),
        Subgroup("age", "<30", 9, 8, 1, {"malignant_auc": unknown}),
    ]
    plots.subgroup_forest(rows, "malignant_auc", known, tmp_path / "forest.svg")
    drawn = words(tmp_path / "forest.svg")
    assert "sex male (12 of 40)" in drawn
    assert "age &lt;30 (1 of 8)" in drawn
    assert drawn.count("not determined") == 1
    assert ">AUC, malignant against benign<" in drawn


def test_a_picture_is_small_and_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    case = answers(3)
    rows = conformal.coverage(case, conformal.sets(case.probabilities, [0.5] * 7), draws=20)
    for suffix in ("png", "svg"):
        first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
        plots.conformal_coverage(rows, first)
        plots.conformal_coverage(rows, second)
        assert first.read_bytes() == second.read_bytes()
        assert first.stat().st_size < 60_000
    assert "MEL (" in words(tmp_path / "first.svg")
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.width > 900
