"""Metrics of triage, each with a 95 % bootstrap interval by lesion.

Images of one lesion are not independent, so a bootstrap draw resamples lesions and a metric counts an image as often
as its lesion was drawn. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval);
Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (ECE).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.classes import CLASSES, INDEX, MALIGNANT_INDICES
from ml.stack import malignant

DRAWS: Final = 1000
BINS: Final = 15


@dataclass(frozen=True)
class Scored:
    """Answers beside the truth: `probabilities` (n, 7), `labels` int (n,), `lesions` ids (n,), and P(malignant) of
    the operating point.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    operating_point: float

    @property
    def is_malignant(self) -> np.ndarray:
        """bool (n,)."""
        return np.isin(self.labels, MALIGNANT_INDICES)


@dataclass(frozen=True)
class Measured:
    """A metric's value and the ends of its 95 % interval; NaN where the images do not determine it."""

    value: float
    low: float
    high: float


def balanced_accuracy(scored: Scored, weight: np.ndarray) -> float:
    """The mean over the classes present of the share of their images answered with them."""
    right = scored.probabilities.argmax(axis=1) == scored.labels
    total = np.bincount(scored.labels, weight, len(CLASSES))
    hits = np.bincount(scored.labels, weight * right, len(CLASSES))
    return float(np.mean(hits[total > 0] / total[total > 0])) if total.any() else np.nan


def malignant_auc(scored: Scored, weight: np.ndarray) -> float:
    """Area under the ROC curve of P(malignant)."""
    return _auc(malignant(scored.probabilities), scored.is_malignant, weight)


def melanoma_auc(scored: Scored, weight: np.ndarray) -> float:
    """Area under the ROC curve of P(MEL), melanoma against all others."""
    return _auc(scored.probabilities[:, INDEX["MEL"]], scored.labels == INDEX["MEL"], weight)


def sensitivity(scored: Scored, weight: np.ndarray) -> float:
    """The share of malignant images at or above the operating point."""
    referred = malignant(scored.probabilities) >= scored.operating_point
    return _share(referred, weight * scored.is_malignant)


def specificity(scored: Scored, weight: np.ndarray) -> float:
    """The share of benign images below the operating point."""
    referred = malignant(scored.probabilities) >= scored.operating_point
    return _share(~referred, weight * ~scored.is_malignant)


def ece(scored: Scored, weight: np.ndarray) -> float:
    """Expected calibration error of the top class's probability, 15 bins of equal width."""
    confidence = scored.probabilities.max(axis=1)
    right = scored.probabilities.argmax(axis=1) == scored.labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, weight * (confidence - right), BINS)
    return float(np.abs(gap).sum() / weight.sum()) if weight.sum() else np.nan


METRICS: Final[dict[str, Callable[[Scored, np.ndarray], float]]] = {
    "balanced_accuracy": balanced_accuracy,
    "malignant_auc": malignant_auc,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "melanoma_auc": melanoma_auc,
    "ece": ece,
}


def measure(scored: Scored, draws: int = DRAWS, seed: int = 0) -> dict[str, Measured]:
    """Every metric of METRICS with its interval."""
    weights = list(lesion_weights(scored.lesions, draws, seed))
    result = {}
    for name, metric in METRICS.items():
        low, high = interval(np.array([metric(scored, weight) for weight in weights]))
        result[name] = Measured(metric(scored, np.ones(len(scored.labels))), low, high)
    return result


def lesion_weights(lesions: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """For each bootstrap draw, how often each image counts: float64 (n,). No draw without a lesion."""
    if not len(lesions):
        return
    _, lesion = np.unique(lesions, return_inverse=True)
    count = lesion.max() + 1
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.bincount(rng.integers(0, count, count), minlength=count)[lesion].astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the draws that determine the metric; NaN when none does."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return np.nan, np.nan
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def _share(hit: np.ndarray, weight: np.ndarray) -> float:
    return float((weight * hit).sum() / weight.sum()) if weight.sum() else np.nan


def _auc(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counting half."""
    levels, level = np.unique(score, return_inverse=True)
    up = np.bincount(level, weight * positive, len(levels))
    down = np.bincount(level, weight * ~positive, len(levels))
    pairs = up.sum() * down.sum()
    return float((up * (np.cumsum(down) - down / 2)).sum() / pairs) if pairs else np.nan
