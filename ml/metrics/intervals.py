"""Ends of 95 % intervals where a bootstrap is blind: no draw can show a lesion that none of those at hand is like.

Where all of n lesions are answered alike, every draw is the same and its interval has no width. Score intervals keep
one, and for one share and for a paired difference it is the same there, z² / (n + z²). Sources: Wilson, Probable
inference, Journal of the American Statistical Association 1927; Tango, Equivalence test and confidence interval for
the difference in proportions for the paired-sample design, Statistics in Medicine 1998.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ml.metrics.measured import Measured

Z: Final = 1.959964
"""The 97.5th percentile of the normal distribution."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `hits` of `count` (at least one) were seen."""
    share, wide = hits / count, 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / wide
    half = Z / wide * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def of_none(lesions: int) -> float:
    """The largest share that is compatible with none of so many lesions (at least one)."""
    return wilson(0, lesions)[1]


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the draws that determine the metric; NaN when none does."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return np.nan, np.nan
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def around(value: float, draws: np.ndarray, lesions: Callable[[], int]) -> Measured:
    """A value with the interval of its draws. Where all draws agree, they tell nothing: a share of `lesions()` lesions
    that is 0 or 1 has Wilson's end then, and the ends of anything else, of 0 lesions, are not determined.
    """
    low, high = interval(draws)
    if low != high:
        return Measured(value, low, high)
    count = lesions()
    if not count or value not in (0, 1):
        return Measured(value, np.nan, np.nan)
    return Measured(value, 1 - of_none(count), 1.0) if value else Measured(value, 0.0, of_none(count))


def needed(margin: float) -> int:
    """The fewest lesions of which `of_none` is at most `margin`, in (0, 1): with fewer not even equal answers show that
    no more is lost.
    """
    return math.ceil(Z**2 * (1 - margin) / margin)


def most_lost(lost: float, gained: float, lesions: int) -> float:
    """The upper end for the share of lesions lost, net of those gained, from how many of `lesions` were answered right
    by the first model alone (`lost`) and by the second alone (`gained`): Tango's score interval, between -1 and 1.
    """

    def too_low(share: float) -> bool:
        """Whether so many lost would be no surprise were this the true share."""
        slope = -lost - gained + (2 * lesions - lost + gained) * share
        product = -gained * share * (1 - share)
        root = math.sqrt(max(slope**2 - 8 * lesions * product, 0.0))
        chance = (root - slope) / (4 * lesions)  # of a gain: its likeliest value at this share
        spread = math.sqrt(max(lesions * (2 * chance + share * (1 - share)), 0.0))
        return lost - gained - lesions * share > -Z * spread

    low, high = (lost - gained) / lesions, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if too_low(middle) else (low, middle)
    return high
