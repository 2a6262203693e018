"""How well outlines fit, with 95 % bootstrap intervals by lesion.

Source: Codella et al., Skin lesion analysis toward melanoma detection 2018, arXiv:1902.03368 (mean Jaccard, and the
share of images below 0.65, from where an outline counts as failed).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ml.evaluate import SeenError, check_readable
from ml.imaging.preprocess import VERSION
from ml.metrics import DRAWS, measure_mean
from ml.metrics.measured import Measured, plain
from ml.segmentation.masks import Outlined
from ml.segmentation.outline import outline
from ml.segmentation.segmenter import Segmenter

FAILED: Final = 0.65


def jaccards(grids: np.ndarray, truths: Sequence[np.ndarray]) -> np.ndarray:
    """For each image the Jaccard index of the outline in its log-odds, float32 (n, rows, columns), with the true
    mask, bool, at the mask's own resolution: float64 (n,). Two empty outlines agree: 1.
    """
    return np.array(
        [_jaccard(outline(grid, truth.shape[::-1]), truth) for grid, truth in zip(grids, truths, strict=True)]
    )


def measure(values: np.ndarray, lesions: np.ndarray, draws: int = DRAWS) -> dict[str, Measured]:
    """`mean_jaccard`, `failed_share` (below 0.65) and `threshold_jaccard` (the mean with failed ones counted as 0)
    of the values of `jaccards`, float64 (n,), each with its interval; `lesions` are ids (n,).
    """
    failed = values < FAILED
    columns = {"mean_jaccard": values, "failed_share": failed, "threshold_jaccard": np.where(failed, 0, values)}
    return {name: measure_mean(column, lesions, draws) for name, column in columns.items()}


def evaluate(segmenter: Segmenter, outlined: Outlined) -> dict[str, Any]:
    """What a manifest keeps, on the images that the segmenter has not seen: the version of the frames that it was asked
    about, counts and metrics as plain numbers, and the images that could not be read.

    Raises SeenError when it has seen every image, and DataError `no_test_images` when there is none.
    """
    check_readable(outlined)
    kept = outlined.unseen(segmenter.seen)
    dropped = len(outlined) - len(kept)
    if not len(kept):
        raise SeenError(f"The segmenter has seen all {dropped} test images before, so they cannot measure it.")
    values = jaccards(segmenter.logits(kept.pixels), kept.masks)
    return {
        "frames": VERSION,
        "images": len(kept),
        "lesions": len(set(kept.lesions)),
        "dropped_seen": dropped,
        "refused": outlined.refused,
        # six digits: a card rounds them to three, and of four that would be a second rounding
        "metrics": plain({name: vars(measured) for name, measured in measure(values, kept.lesions).items()}, 6),
    }


def _jaccard(found: np.ndarray, truth: np.ndarray) -> float:
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0
