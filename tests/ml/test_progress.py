"""What a person is told of a long run; what a program is told, the tests of the commands read."""

import pytest

from ml.progress import TextProgress


def test_what_a_run_has_made_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {
        "balanced_accuracy": {"value": 0.759, "low": 0.709, "high": 0.807},
        "melanoma_auc": {"value": None, "low": None, "high": None},
        "mean_jaccard": {"value": 0.9, "low": None, "high": None},
    }
    TextProgress().done(bundle="made [1]", dropped_seen=0, refused={}, test={"images": 3, "metrics": metrics})
    assert capsys.readouterr().err.splitlines() == [
        "bundle: made [1]",
        "dropped seen: 0",
        "refused: none",
        "test:",
        "  images: 3",
        "  metrics, with 95 % intervals by lesion:",
        "    Balanced accuracy: 0.759 (0.709 to 0.807)",
        "    AUC, melanoma against all others: not determined",
        "    mean jaccard: 0.900",
    ]
