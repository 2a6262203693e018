"""How far two models, or one on changed photos, differ in a metric on the same images.

A bootstrap draws lesions once for both. Where both answer nearly alike it shows next to no difference however few the
lesions are. So the interval of sensitivity (of all malignant classes, or of one) and specificity is no narrower than
Tango's score interval of `ml.metrics.intervals`, with lesions as its cases; that of another metric is not
determined where no draw differs.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ml.metrics import Metric, Scored
from ml.metrics.intervals import interval, most_lost
from ml.metrics.measured import Measured
from ml.metrics.within_classes import places

SIDES: Final = {"sensitivity": "malignant", "specificity": "benign"}
"""The lesions that each of these shares is of."""


def looked_at(name: str, scored: Scored) -> np.ndarray | None:
    """The images that the share `name` is of, bool (n,): one of SIDES, or the sensitivity within a malignant
    class. None for any other metric.
    """
    if name in SIDES:
        return np.asarray(scored.is_malignant == (SIDES[name] == "malignant"))
    place = places(scored.taxonomy).get(name)
    return None if place is None else np.asarray(scored.labels == place)


def values(metric: Metric, scored: Scored, weights: Sequence[np.ndarray]) -> np.ndarray:
    """A metric on all images and then in each draw, float64 (1 + draws,), for `difference`. `weights` are those of
    `ml.metrics.bootstrap.lesion_weights`.
    """
    return np.array([metric(scored, weight) for weight in (np.ones(len(scored.labels)), *weights)])


def difference(name: str, before: Scored, after: Scored, was: np.ndarray, became: np.ndarray) -> Measured:
    """`after` minus `before` in the metric `name`, with its paired 95 % interval. `was` and `became` are its `values`
    of both, with the same weights; the answers are to the same images in the same order.
    """
    gained = became - was
    low, high = interval(gained[1:])
    side = looked_at(name, before)
    if side is not None and not np.isnan(low):
        worst, best = _score_interval(side, before, after)
        low, high = min(low, worst), max(high, best)
    elif low == high:
        low = high = np.nan
    return Measured(float(gained[0]), low, high)


def _score_interval(side: np.ndarray, before: Scored, after: Scored) -> tuple[float, float]:
    """Tango's interval of the difference of a share of the images of `side`, bool (n,): one lesion is one case, however
    many images it has.
    """
    lesions = len(set(before.lesions[side]))
    right, right_after = (scored.right[side] for scored in (before, after))
    lost, gained = (lesions * float(np.mean(only)) for only in (right & ~right_after, right_after & ~right))
    return -most_lost(lost, gained, lesions), most_lost(gained, lost, lesions)
