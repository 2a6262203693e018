"""The figures that authors report, each with its 95 % interval by lesion, on the same answers in several ways."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from ml.metrics import (
    DRAWS,
    Metric,
    Scored,
    accuracy,
    balanced_accuracy,
    counts_above,
    macro_auc,
    malignant_auc,
    measure,
)
from ml.metrics.measured import Measured, words

LEAST_SENSITIVITY: Final = 0.8
"""Below it, `partial_auc` counts nothing: a test that misses more is of no use."""


def precision(scored: Scored, weight: np.ndarray) -> float:
    """The share of images named as a class that are of it, averaged over the classes by their number of images."""
    right, named, true = _counts(scored, weight)
    return _averaged(right / np.maximum(named, 1e-12), true)


def f1(scored: Scored, weight: np.ndarray) -> float:
    """The harmonic mean of precision and recall of each class, averaged by their number of images."""
    right, named, true = _counts(scored, weight)
    return _averaged(2 * right / np.maximum(named + true, 1e-12), true)


def partial_auc(scored: Scored, weight: np.ndarray) -> float:
    """Area between the ROC curve of P(malignant) and the line of sensitivity 0.8: from 0 to 0.2, and 0.02 by chance.

    Source: the metric of the ISIC 2024 challenge.
    """
    hits, alarms = counts_above(scored.levels[-1], scored.is_malignant, weight)
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return np.nan
    above = np.concatenate([[0], hits]) / hits[-1] - LEAST_SENSITIVITY
    start, end = above[:-1], above[1:]
    low, high = np.maximum(start, 0), np.maximum(end, 0)
    inside = np.divide(high - low, end - start, out=np.ones(len(low)), where=end > start)
    widths = np.diff(alarms, prepend=0) / alarms[-1]
    return float((widths * inside * (low + high) / 2).sum())


MEASURES: Final[dict[str, Metric]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": accuracy,  # averaged over the classes by their number of images, it is the accuracy
    "f1": f1,
    "malignant_auc": malignant_auc,
    "balanced_accuracy": balanced_accuracy,
    "macro_auc": macro_auc,
}

LABELS: Final = {
    "accuracy": "accuracy",
    "precision": "precision, weighted",
    "recall": "recall, weighted",
    "f1": "F1, weighted",
    "malignant_auc": "AUC, malignant against benign",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "AUC, mean of the classes",
}


def measured(scored: Scored, draws: int = DRAWS) -> dict[str, Measured]:
    """All of MEASURES."""
    return measure(scored, draws, metrics=MEASURES)


def table(reported: Mapping[str, float], columns: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    """Markdown lines: a row for each measure, with the authors' figure and one column for each way."""
    lines = [
        "| metric | authors report | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for name, label in LABELS.items():
        authors = f"{reported[name]:.3f}" if name in reported else "–"
        lines.append(
            f"| {label} | {authors} | " + " | ".join(words(vars(column[name])) for column in columns.values()) + " |"
        )
    return lines


def _counts(scored: Scored, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each class: the weight of the images rightly named, of those named, and of those that there are."""
    classes = len(scored.taxonomy.codes)
    right = np.bincount(scored.labels, weight * (scored.named == scored.labels), classes)
    return right, np.bincount(scored.named, weight, classes), np.bincount(scored.labels, weight, classes)


def _averaged(values: np.ndarray, weight: np.ndarray) -> float:
    return float((values * weight).sum() / weight.sum()) if weight.any() else np.nan
