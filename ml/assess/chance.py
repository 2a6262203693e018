"""What a model that is right about its own uncertainty would be measured to do, by chance alone.

A calibration error is a mean of sizes, so it is never 0 on finitely many images: the fewer there are, the more of it is
chance. Source: Bröcker and Smith, Increasing the Reliability of Reliability Diagrams, Weather and Forecasting 2007
(consistency resampling).
"""

from dataclasses import replace
from typing import Final

import numpy as np

from ml import metrics
from ml.metrics import DRAWS, Scored
from ml.metrics.intervals import interval
from ml.metrics.measured import Measured

ERRORS: Final = ("ece", "malignant_ece")


def calibration_errors(scored: Scored, draws: int = DRAWS) -> dict[str, Measured]:
    """Each of ERRORS as it would be if the probabilities were right: the mean over draws of labels from them, and the
    2.5th and 97.5th percentile. Images of one lesion are drawn together, so that they agree as far as their
    probabilities do.
    """
    _, lesion = np.unique(scored.lesions, return_inverse=True)
    rising = scored.probabilities.cumsum(axis=1)
    rising /= rising[:, -1:]
    rng = np.random.default_rng(0)
    once = np.ones(len(lesion))
    found: dict[str, list[float]] = {name: [] for name in ERRORS}
    for _ in range(draws):
        luck = rng.random(lesion.max() + 1)[lesion]
        drawn = replace(scored, labels=(luck[:, None] >= rising).sum(axis=1))
        for name in ERRORS:
            found[name].append(metrics.ALL_METRICS[name](drawn, once))
    return {name: Measured(float(np.mean(values)), *interval(np.array(values))) for name, values in found.items()}
