"""A measured value, as numbers for a file and in words for a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ml.classes import DISPLAY_NAMES, class_in_sentence

UNDETERMINED: Final = "not determined"

LABELS: Final = {
    "malignant_auc": "AUC, malignant{malignant} against benign",
    "average_precision": "Average precision, malignant",
    "sensitivity": "Sensitivity for malignant at the operating point",
    "specificity": "Specificity for malignant at the operating point",
    "specificity_at_95_sensitivity": "Specificity at 0.95 sensitivity, read off these images' own curve (flatters)",
    "melanoma_auc": "AUC, melanoma against all others",
    "macro_auc": "AUC, mean over the classes",
    "balanced_accuracy": "Balanced accuracy{classes}",
    "accuracy": "Accuracy{classes}",
    "ece": "Expected calibration error of the top class, 15 bins of equal width",
    "malignant_ece": "Expected calibration error of P(malignant), 15 bins of equal mass",
}
"""What `label` calls each of `ml.metrics.ALL_METRICS`, in the order in which a page shows them."""


def sensitivity_of(code: str) -> str:
    """The name of the metric that is the sensitivity within one class."""
    return f"sensitivity_{code}"


_WITHIN: Final = {
    sensitivity_of(code): f"Sensitivity for {class_in_sentence(code)} at the operating point" for code in DISPLAY_NAMES
}


@dataclass(frozen=True)
class Measured:
    """A metric's value and the ends of its 95 % interval; NaN where the images do not determine it."""

    value: float
    low: float
    high: float


def plain(value: Any, digits: int = 4) -> Any:
    """What `asdict` gives, for JSON: floats are rounded, and None where they are NaN."""
    if isinstance(value, dict):
        return {key: plain(inner, digits) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, digits) for inner in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(float(value), digits)
    return value


def label(metric: str, codes: Sequence[str] = (), malignant: Sequence[str] = ()) -> str:
    """What people call a metric of LABELS, or the sensitivity within a class; it tells the classes where these, and the
    malignant ones among them, are given.
    """
    told = {"malignant": f" ({', '.join(malignant)})", "classes": f", {len(codes)} classes"}
    return {**LABELS, **_WITHIN}[metric].format(**(told if codes else dict.fromkeys(told, "")))


def words(measured: Mapping[str, float | None], digits: int = 3, sign: str = "") -> str:
    """A Measured's `vars`, or what `plain` makes of them, as `0.912 (0.871 to 0.950)`, and without the interval where
    that is not determined; `sign` is "+" for a difference.
    """
    value, low, high = (np.array(measured[name], float) for name in ("value", "low", "high"))  # None becomes NaN
    if np.isnan(value):
        return UNDETERMINED
    form = f"{sign}.{digits}f"
    return f"{value:{form}}" + ("" if np.isnan(low) else f" ({low:{form}} to {high:{form}})")


def ends(measured: Mapping[str, float | None]) -> str:
    """The interval alone, as `0.871 to 0.950`."""
    low, high = measured["low"], measured["high"]
    return UNDETERMINED if low is None or high is None else f"{low:.3f} to {high:.3f}"


def unmeasured(images_of_class: Mapping[str, int]) -> str:
    """A sentence on the classes that no image shows, or "" where there are none."""
    absent = [code for code, count in images_of_class.items() if not count]
    return f"No image shows {', '.join(absent)}: every metric is of the other classes." if absent else ""
