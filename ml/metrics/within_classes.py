"""The sensitivity of the operating point within each malignant class: in that for all of them one can hide."""

from functools import partial

import numpy as np

from ml.classes import Taxonomy
from ml.metrics import Metric, Scored, sensitivity
from ml.metrics.measured import sensitivity_of


def places(taxonomy: Taxonomy) -> dict[str, int]:
    """The place of each malignant class by the name of the metric; none where there is but one such class."""
    if len(taxonomy.malignant) == 1:
        return {}
    return {sensitivity_of(code): taxonomy.index[code] for code in taxonomy.malignant}


def within_classes(taxonomy: Taxonomy) -> dict[str, Metric]:
    """The metrics, by name."""
    return {name: partial(_within, place=place) for name, place in places(taxonomy).items()}


def _within(scored: Scored, weight: np.ndarray, place: int) -> float:
    return sensitivity(scored, weight * (scored.labels == place))
