"""Two bundles on the same images, none of which either has seen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml import gate
from ml.bundle import Bundle
from ml.data.examples import Examples
from ml.evaluate import SeenError, answer, check_readable, unseen
from ml.gate import Gate
from ml.imaging.preprocess import Size
from ml.metrics import ALL_METRICS, DRAWS, Scored
from ml.within import within_classes


class CompareError(Exception):
    """Bundles that cannot be compared; the message says why."""


@dataclass(frozen=True)
class Comparison:
    """`gate` holds each metric of both with the paired interval of second minus first, where the first stands as
    `active` and the second as `candidate`. `dropped_seen` images were left out as seen by either, and those `refused`,
    for the reason given, because they could not be read.
    """

    first: Bundle
    second: Bundle
    dropped_seen: int
    refused: dict[str, str]
    gate: Gate

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, with the names and hashes of the bundles."""
        named = {
            side: {"release": bundle.name, "bundle": bundle.hash}
            for side, bundle in (("first", self.first), ("second", self.second))
        }
        return {**named, "dropped_seen": self.dropped_seen, "refused": self.refused, **self.gate.as_dict()}


def compare(
    first: Bundle,
    second: Bundle,
    read: Callable[[Size], Examples],
    cache: Path,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compares two bundles by every metric, and within each malignant class, with the paired bootstrap over lesions of
    `ml.gate`.

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
    verdict = gate.compare(*answers, draws=draws, seed=seed, metrics=metrics)
    return Comparison(first, second, dropped, examples[first.frame].refused, verdict)
