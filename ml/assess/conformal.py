"""Sets of classes that hold the right one for nine images in ten of every class: split-conformal prediction.

Each class has its own quantile (Mondrian, or class-conditional, conformal prediction), so that the promise holds for
melanoma and not only on average, where naevi would carry it. Sources: Vovk, Conditional validity of inductive conformal
predictors, ACML 2012, arXiv:1209.2673; Angelopoulos and Bates, A Gentle Introduction to Conformal Prediction,
arXiv:2107.07511.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from ml.metrics import DRAWS, Scored, measure_mean
from ml.metrics.measured import Measured

COVERAGE: Final = 0.9


def fit(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """For each class the largest `1 - P(class)` at which it still enters a set, from probabilities (n, k) and labels
    int (n,) of images that neither members nor stack were fitted to.

    With n calibration images of a class it is the ceil((n + 1) * COVERAGE)-th smallest `1 - P(class)` among them. For
    a new image of that class that is exchangeable with them, the chance that its set holds it is then at least
    COVERAGE, whatever the model. That chance is an average over draws of calibration images, and the fewer there
    are, the further the coverage of one draw lies from it: at 90 % it is Beta-distributed with a standard deviation of
    0.08 for n = 10 and of 0.03 for n = 100. With n = 9 the quantile is the worst calibration image itself; with n < 9
    (also n = 0) no image can witness 90 %, the quantile is 1, and the class is in every set: true, and useless.
    Images of one lesion are not independent and count for less than their number. Where a calibration image is answered
    by a stack that was fitted without it, and a new one by the stack that was fitted to all, as in `ml.calibration`,
    they are nearly exchangeable and not quite (Barber et al., Predictive inference with the jackknife+, Annals of
    Statistics 2021, arXiv:1905.02928): so what holds of the promise is measured, by `coverage`.
    """
    return [_quantile(1 - probabilities[labels == place, place]) for place in range(probabilities.shape[1])]


def sets(probabilities: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """Which classes each image's set holds, bool (n, k), from probabilities (n, k) and the quantiles of `fit`.

    A common class can be the most probable one and still be left out, where the model is less sure of it than with nine
    of its images in ten; to put it in regardless would cover more of it than was promised. A set that would be empty
    holds the class that is nearest to its quantile.
    """
    beyond = 1 - probabilities - np.asarray(quantiles)
    held = beyond <= 0
    empty = ~held.any(axis=1)
    held[empty, beyond[empty].argmin(axis=1)] = True
    return np.asarray(held)


@dataclass(frozen=True)
class Coverage:
    """Of one class, or of `all`: images, lesions, the share of images whose set holds their class, and the mean number
    of classes in a set.
    """

    group: str
    images: int
    lesions: int
    coverage: Measured
    set_size: Measured


def coverage(scored: Scored, held: np.ndarray, draws: int = DRAWS) -> list[Coverage]:
    """How often the sets `held`, bool (n, k), hold the right class: over all images, then in each class, with
    intervals by lesion.
    """
    everything = np.ones(len(scored.labels), dtype=bool)
    groups = {"all": everything}
    groups.update({code: scored.labels == place for place, code in enumerate(scored.taxonomy.codes)})
    right = held[np.arange(len(held)), scored.labels]
    rows = []
    for group, inside in groups.items():
        lesions = scored.lesions[inside]
        covered = measure_mean(right[inside], lesions, draws)
        size = measure_mean(held[inside].sum(axis=1).astype(float), lesions, draws)
        rows.append(Coverage(group, len(lesions), len(set(lesions)), covered, size))
    return rows


def _quantile(scores: np.ndarray) -> float:
    # In fractions: (19 + 1) * 0.9 must not round up to 19.
    rank = -int(-(len(scores) + 1) * Fraction(str(COVERAGE)) // 1)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0
