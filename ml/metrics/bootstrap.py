"""Bootstrap draws of whole lesions, whose images stay together."""

from collections.abc import Iterator
from typing import Final

import numpy as np

AT_ONCE: Final = 100_000
"""Lesions that are drawn in one step: few steps, and few megabytes."""


def lesion_weights(lesions: np.ndarray, draws: int, seed: int = 0) -> Iterator[np.ndarray]:
    """For each bootstrap draw, how often each image counts: float64 (n,). No draw without a lesion."""
    named, lesion = np.unique(lesions, return_inverse=True)
    for counts in lesion_draws(len(named), draws, seed):
        for count in counts:
            yield count[lesion].astype(np.float64)


def lesion_draws(lesions: int, draws: int, seed: int = 0) -> Iterator[np.ndarray]:
    """For each bootstrap draw, how often each lesion counts: int64 (some draws, lesions), as many at a time as are
    quick. No draw without a lesion.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, AT_ONCE // max(1, lesions))
    yield np.zeros((0, lesions), np.int64)
    for start in range(0, draws if lesions else 0, at_once):
        rows = np.arange(min(at_once, draws - start))[:, None]
        drawn = rows * lesions + rng.integers(0, lesions, (len(rows), lesions))
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
