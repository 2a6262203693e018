"""Metrics of triage, each with a 95 % bootstrap interval by lesion.

Images of one lesion are not independent, so a bootstrap draw resamples lesions and a metric counts an image as often
as its lesion was drawn. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval);
Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (ECE).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import numpy as np

from ml.classes import SEVEN, Taxonomy
from ml.metrics.bootstrap import lesion_draws, lesion_weights
from ml.metrics.intervals import around
from ml.metrics.measured import Measured
from ml.stack import malignant

DRAWS: Final = 1000
BINS: Final = 15
SENSITIVITY: Final = 0.95
"""Where `specificity_at_95_sensitivity` reads the curve."""


@dataclass(frozen=True)
class Scored:
    """Answers beside the truth: calibrated `probabilities` (n, k), `labels` int (n,), `lesions` ids (n,), P(malignant)
    of the operating point, the taxonomy of the k classes, the classes named, int (n,), where these are not simply the
    most probable ones, and which images were `answered`, bool (n,), where not all were: neither sensitivity nor
    specificity counts another as right. Every other metric counts it by its probabilities and the class named.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    operating_point: float
    taxonomy: Taxonomy = SEVEN
    decisions: np.ndarray | None = None
    answered: np.ndarray | None = None

    @cached_property
    def is_malignant(self) -> np.ndarray:
        """bool (n,)."""
        return np.isin(self.labels, self.taxonomy.malignant_indices)

    @cached_property
    def p_malignant(self) -> np.ndarray:
        """float64 (n,)."""
        return malignant(self.probabilities, self.taxonomy)

    @property
    def referred(self) -> np.ndarray:
        """Whether P(malignant) reaches the operating point, bool (n,)."""
        return np.asarray(self.p_malignant >= self.operating_point)

    @property
    def right(self) -> np.ndarray:
        """Whether an image was answered, and a malignant one referred or a benign one not, bool (n,)."""
        right = np.asarray(self.referred == self.is_malignant)
        return right if self.answered is None else right & self.answered

    @cached_property
    def named(self) -> np.ndarray:
        """The place of the class named for each image, int (n,)."""
        return self.probabilities.argmax(axis=1) if self.decisions is None else self.decisions

    @cached_property
    def levels(self) -> list[np.ndarray]:
        """The rank of each image's probability, ties sharing one, int (n,): of each class, and last of P(malignant).

        A curve depends on ranks alone, and a bootstrap draw changes none.
        """
        columns = [*self.probabilities.T, self.p_malignant]
        return [np.unique(column, return_inverse=True)[1] for column in columns]

    def take(self, rows: np.ndarray) -> "Scored":
        """Those of a boolean or integer index."""
        decisions = None if self.decisions is None else self.decisions[rows]
        answered = None if self.answered is None else self.answered[rows]
        kept = self.probabilities[rows], self.labels[rows], self.lesions[rows]
        return Scored(*kept, self.operating_point, self.taxonomy, decisions, answered)


Metric = Callable[[Scored, np.ndarray], float]
"""From answers and how often each image counts, float64 (n,)."""


def accuracy(scored: Scored, weight: np.ndarray) -> float:
    """The share of images for which the right class is named."""
    return _share(scored.named == scored.labels, weight)


def balanced_accuracy(scored: Scored, weight: np.ndarray) -> float:
    """The mean over the classes present of the share of their images for which they are named."""
    classes = len(scored.taxonomy.codes)
    total = np.bincount(scored.labels, weight, classes)
    hits = np.bincount(scored.labels, weight * (scored.named == scored.labels), classes)
    return float(np.mean(hits[total > 0] / total[total > 0])) if total.any() else np.nan


def malignant_auc(scored: Scored, weight: np.ndarray) -> float:
    """Area under the ROC curve of P(malignant)."""
    return _auc(scored.levels[-1], scored.is_malignant, weight)


def melanoma_auc(scored: Scored, weight: np.ndarray) -> float:
    """Area under the ROC curve of P(MEL), melanoma against all others; NaN in a taxonomy without melanoma."""
    place = scored.taxonomy.index.get("MEL")
    return np.nan if place is None else class_auc(scored, weight, place)


def class_auc(scored: Scored, weight: np.ndarray, place: int) -> float:
    """Area under the ROC curve of one class's probability against all others."""
    return _auc(scored.levels[place], scored.labels == place, weight)


def macro_auc(scored: Scored, weight: np.ndarray) -> float:
    """The mean of `class_auc` over the classes that have images on both sides."""
    areas = [class_auc(scored, weight, place) for place in range(len(scored.taxonomy.codes))]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else np.nan


def class_sensitivity(scored: Scored, weight: np.ndarray, place: int) -> float:
    """The share of a class's images for which it is named."""
    return _share(scored.named == place, weight * (scored.labels == place))


def sensitivity(scored: Scored, weight: np.ndarray) -> float:
    """The share of malignant images that are answered, at or above the operating point."""
    return _share(scored.right, weight * scored.is_malignant)


def specificity(scored: Scored, weight: np.ndarray) -> float:
    """The share of benign images that are answered, below the operating point, which was set on other images."""
    return _share(scored.right, weight * ~scored.is_malignant)


def specificity_at_95_sensitivity(scored: Scored, weight: np.ndarray) -> float:
    """The specificity at the highest threshold with sensitivity 0.95, **read off the curve of these same images**.

    It compares with papers that report it so, and flatters: no threshold can be chosen like this in practice.
    `specificity` is what an operating point set beforehand gives.
    """
    hits, alarms = counts_above(scored.levels[-1], scored.is_malignant, weight)
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return np.nan
    first = int(np.argmax(hits >= SENSITIVITY * hits[-1] - 1e-9))
    return float(1 - alarms[first] / alarms[-1])


def average_precision(scored: Scored, weight: np.ndarray) -> float:
    """Area under the precision-recall curve of P(malignant), as a sum of steps."""
    return _precision(scored.levels[-1], scored.is_malignant, weight)


def class_average_precision(scored: Scored, weight: np.ndarray, place: int) -> float:
    """`average_precision` of one class's probability against all others."""
    return _precision(scored.levels[place], scored.labels == place, weight)


def ece(scored: Scored, weight: np.ndarray) -> float:
    """Expected calibration error of the top class's probability, 15 bins of equal width."""
    confidence = scored.probabilities.max(axis=1)
    right = scored.probabilities.argmax(axis=1) == scored.labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return _gap(place, confidence - right, weight)


def malignant_ece(scored: Scored, weight: np.ndarray) -> float:
    """Expected calibration error of P(malignant), 15 bins of equal mass.

    Equal widths would leave nearly every benign image in the first bin. Source: Nixon et al., Measuring Calibration in
    Deep Learning, CVPR workshops 2019 (adaptive bins).
    """
    return _gap(equal_mass_bins(scored, weight), scored.p_malignant - scored.is_malignant, weight)


def equal_mass_bins(scored: Scored, weight: np.ndarray) -> np.ndarray:
    """Which of BINS bins of P(malignant) each image lies in, int (n,); images with the same value share one."""
    level = scored.levels[-1]
    mass = np.bincount(level, weight)
    middle = np.cumsum(mass) - mass / 2
    return np.asarray(np.minimum(middle / max(mass.sum(), 1e-12) * BINS, BINS - 1).astype(int)[level])


SHARES: Final = (accuracy, class_sensitivity, sensitivity, specificity)
"""Metrics that are shares of images, each of which gives one alone."""

METRICS: Final[dict[str, Metric]] = {
    "balanced_accuracy": balanced_accuracy,
    "malignant_auc": malignant_auc,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "melanoma_auc": melanoma_auc,
    "ece": ece,
}
"""Those of every evaluation and of the gate."""

ALL_METRICS: Final[dict[str, Metric]] = {
    **METRICS,
    "accuracy": accuracy,
    "macro_auc": macro_auc,
    "average_precision": average_precision,
    "specificity_at_95_sensitivity": specificity_at_95_sensitivity,
    "malignant_ece": malignant_ece,
}
"""Those of an assessment."""


def class_metrics(place: int) -> dict[str, Metric]:
    """The metrics of one class: `sensitivity`, `auc` and `average_precision`."""
    return {
        "sensitivity": partial(class_sensitivity, place=place),
        "auc": partial(class_auc, place=place),
        "average_precision": partial(class_average_precision, place=place),
    }


def measure(scored: Scored, draws: int = DRAWS, metrics: Mapping[str, Metric] = METRICS) -> dict[str, Measured]:
    """Every one of `metrics` with its interval."""
    weights = list(lesion_weights(scored.lesions, draws))
    result = {}
    for name, metric in metrics.items():
        value, drawn = metric(scored, np.ones(len(scored.labels))), [metric(scored, weight) for weight in weights]
        result[name] = around(value, np.array(drawn), partial(_looked_at, metric, scored))
    return result


def _looked_at(metric: Metric, scored: Scored) -> int:
    """The lesions that a share is of, each of which gives one alone; 0 for what is no share."""
    if getattr(metric, "func", metric) not in SHARES:
        return 0
    alone = ((scored.lesions == lesion).astype(np.float64) for lesion in np.unique(scored.lesions))
    return sum(not np.isnan(metric(scored, weight)) for weight in alone)


def measure_mean(values: np.ndarray, lesions: np.ndarray, draws: int = DRAWS) -> Measured:
    """The mean of values (n,) of images of `lesions` (n,), with its interval; bool for a share. Values that are NaN are
    left out.
    """
    known = ~np.isnan(values)
    values, lesions = values[known], lesions[known]
    named, lesion = np.unique(lesions, return_inverse=True)
    held = np.stack([np.bincount(lesion, values, len(named)), np.bincount(lesion, minlength=len(named))])
    drawn = np.concatenate([np.divide(*(held @ counts.T)) for counts in lesion_draws(len(named), draws)])
    value = values.mean() if len(values) else np.nan
    return around(float(value), drawn, lambda: len(named) if values.dtype == bool else 0)


def counts_above(level: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weight of the positives and of the negatives at or above each level, from the highest level to the lowest:
    the points of a ROC curve, before they are divided by their last.
    """
    up, down = np.bincount(level, weight * positive), np.bincount(level, weight * ~positive)
    return np.cumsum(up[::-1]), np.cumsum(down[::-1])


def confusion(scored: Scored) -> np.ndarray:
    """How many images of each class (row) were named as each class (column), int64 (k, k)."""
    classes = len(scored.taxonomy.codes)
    counts = np.bincount(scored.labels * classes + scored.named, minlength=classes * classes)
    return np.asarray(counts.reshape(classes, classes))


def _share(hit: np.ndarray, weight: np.ndarray) -> float:
    return float((weight * hit).sum() / weight.sum()) if weight.sum() else np.nan


def _auc(level: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float:
    """The chance that a positive ranks above a negative, ties counting half."""
    up, down = np.bincount(level, weight * positive), np.bincount(level, weight * ~positive)
    pairs = up.sum() * down.sum()
    return float((up * (np.cumsum(down) - down / 2)).sum() / pairs) if pairs else np.nan


def _precision(level: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float:
    hits, alarms = counts_above(level, positive, weight)
    if not len(hits) or not hits[-1]:
        return np.nan
    flagged = np.maximum(hits + alarms, 1e-12)  # where nothing is flagged yet, nothing is gained either
    return float((np.diff(hits, prepend=0) * hits / flagged).sum() / hits[-1])


def _gap(place: np.ndarray, excess: np.ndarray, weight: np.ndarray) -> float:
    """The mean over images of the size of their bin's mean excess of confidence."""
    total = weight.sum()
    return float(np.abs(np.bincount(place, weight * excess)).sum() / total) if total else np.nan
