"""Ends of 95 % intervals where a bootstrap is blind: no draw can show a lesion that none of those at hand is like.

Where all of n lesions are answered alike, every draw is the same and its interval has no width. Score intervals keep
one, and for one share and for a paired difference it is the same there, z² / (n + z²). Sources: Wilson, Probable
inference, Journal of the American Statistical Association 1927; Tango, Equivalence test and confidence interval for
the difference in proportions for the paired-sample design, Statistics in Medicine 1998.
"""

import math
from typing import Final

Z: Final = 1.959964
"""The 97.5th percentile of the normal distribution."""


def of_none(lesions: int) -> float:
    """The largest share that is compatible with none of so many lesions (at least one): Wilson's upper end."""
    return Z**2 / (lesions + Z**2)


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
