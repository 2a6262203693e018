"""Two bundles on the same images, none of which either has seen."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ml import gate
from ml.bundle import Bundle
from ml.data.examples import Examples
from ml.evaluate import SeenError, answer, check_readable, unseen
from ml.imaging.preprocess import Size
from ml.metrics import ALL_METRICS, DRAWS, METRICS, Metric, Scored, measure
from ml.metrics.measured import plain
from ml.metrics.within_classes import within_classes


class CompareError(Exception):
    """Bundles that cannot be compared; the message says why."""


def compare(first: Bundle, second: Bundle, read: Callable[[Size], Examples], cache: Path) -> dict[str, Any]:
    """Compares two bundles by every metric, and within each malignant class, with the paired bootstrap over lesions of
    `ml.gate`: what that gives, of the first as `active` and the second as `candidate`, as plain numbers for JSON. With
    it stand their names and hashes, how many images were left out as seen by either (`dropped_seen`), and which could
    not be read, with why (`refused`).

    `read` gives the same images, in the same order, as frames of a (width, height) in pixels; it is asked once for
    each size that the bundles need. `cache` keeps converted networks. Raises CompareError for bundles that answer in
    different classes, SeenError when no image is left, and DataError `no_test_images` when there is none.
    """
    if first.taxonomy != second.taxonomy:
        told = " and ".join(
            f"{bundle.name} answers in {', '.join(bundle.taxonomy.codes)}" for bundle in (first, second)
        )
        raise CompareError(f"Only bundles that answer in the same classes can be compared: {told}.")
    examples = {frame: read(frame) for frame in {first.frame, second.frame}}
    check_readable(examples[first.frame])
    seen = np.concatenate([first.seen, second.seen])
    answers: list[Scored] = []
    dropped = 0
    for bundle in (first, second):
        kept, dropped = unseen(examples[bundle.frame], seen)
        if not len(kept):
            raise SeenError(f"The models have seen all {dropped} test images before, so they cannot be compared.")
        answers.append(answer(bundle, kept, cache))
    metrics = {**ALL_METRICS, **within_classes(first.taxonomy)}
    verdict = gate.compare(*answers, metrics=metrics)
    return {
        "first": {"release": first.name, "bundle": first.hash},
        "second": {"release": second.name, "bundle": second.hash},
        "dropped_seen": dropped,
        "refused": examples[first.frame].refused,
        **verdict.as_dict(),
    }


def side_by_side(
    answers: Mapping[str, Scored], metrics: Mapping[str, Metric] = METRICS, draws: int = DRAWS
) -> list[dict[str, Any]]:
    """Two sets of answers to the same images, each by its name: a row for each metric, with both, the `difference`,
    second minus first, and the intervals of all three, as plain numbers for JSON; None where the images do not
    determine one.
    """
    measured = {name: measure(scored, draws, metrics) for name, scored in answers.items()}
    return [
        {
            "metric": row.metric,
            **{name: plain(vars(metrics[row.metric]), 6) for name, metrics in measured.items()},
            "difference": plain(vars(row.difference), 6),
        }
        for row in gate.compare(*answers.values(), metrics=metrics, draws=draws).rows
    ]
