"""A bundle on images that it has never seen."""

from collections.abc import Sequence, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.bundle import Bundle, Member
from ml.calibration import Calibration
from ml.classes import SEVEN, Taxonomy
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.imaging.fingerprint import matches
from ml.imaging.preprocess import FRAME, Size
from ml.metrics import Scored, measure
from ml.metrics.measured import Measured, plain
from ml.prepare import prepared
from ml.runtime import convert
from ml.runtime.ensemble import Ensemble


class SeenError(Exception):
    """Nothing is left to measure on."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics on `images` images of `lesions` lesions, after `dropped_seen` were left out as seen by the model
    before. `images_of_class` counts them by code: a class that has none is in no metric.
    """

    images: int
    lesions: int
    malignant_lesions: int
    images_of_class: dict[str, int]
    dropped_seen: int
    metrics: dict[str, Measured]

    def as_dict(self) -> dict[str, Any]:
        """For a manifest: plain numbers, None where a metric is not determined. With six digits, as an assessment has:
        a page rounds them to three, and rounding twice may end elsewhere.
        """
        return dict(plain(asdict(self), 6))


def require_classes(folder: Path, labelled: Taxonomy, bundle: Bundle) -> None:
    """Raises DataError `other_classes` where the images of a folder are `labelled` otherwise than a bundle answers."""
    if labelled != bundle.taxonomy:
        told = [", ".join(taxonomy.codes) for taxonomy in (labelled, bundle.taxonomy)]
        raise DataError(
            "other_classes",
            f"{folder} is labelled {told[0]}, and {bundle.name} answers {told[1]}. "
            "Name data with the bundle's classes: a folder for each, named as they are, will do.",
        )


def unseen(examples: Examples, seen: np.ndarray) -> tuple[Examples, int]:
    """The examples whose fingerprint matches none of `seen` (uint64, (m, 4)), and how many were dropped."""
    known = matches(examples.fingerprints, seen)
    return examples.take(~known), int(known.sum())


def check_readable(examples: Sized) -> None:
    """Raises DataError `no_test_images` where there is nothing to measure on, seen or not."""
    if not len(examples):
        raise DataError(
            "no_test_images",
            "There is no test image to measure on: none could be read, or the data are too few to have a test split.",
        )


def measurable(examples: Examples, seen: np.ndarray) -> tuple[Examples, int]:
    """As `unseen`, for images that are to measure a model. Raises SeenError when it has seen every one, and DataError
    `no_test_images` when there is none.
    """
    check_readable(examples)
    kept, dropped = unseen(examples, seen)
    if not len(kept):
        raise SeenError(f"The model has seen all {dropped} test images before, so they cannot measure it.")
    return kept, dropped


def ready(members: Sequence[Member], cache: Path, frame: Size = FRAME) -> Ensemble:
    """The ensemble that serves these members, converted in this process where needed."""
    convert.warm(members, frame, cache)
    return Ensemble(members, frame, cache)


def score(
    logits: np.ndarray,
    examples: Examples,
    calibration: Calibration,
    taxonomy: Taxonomy = SEVEN,
    answered: np.ndarray | None = None,
) -> Scored:
    """The calibrated answers to the members' logits (n, members, k), and the classes named, beside the truth.
    `answered`, bool (n,), are those that are not turned away as no lesion; None where the networks alone are measured.
    """
    probabilities = calibration.stack.probabilities(logits)
    point, named = calibration.thresholds["routine_referral"], calibration.decision.named(probabilities)
    return Scored(probabilities, examples.labels, examples.lesions, point, taxonomy, named, answered)


def evaluate(bundle: Bundle, examples: Examples, cache: Path) -> Evaluation:
    """Measures a bundle through the networks that serve it. Raises as `measurable`."""
    kept, dropped = measurable(examples, bundle.seen)
    return summarise(answer(bundle, kept, cache), dropped)


def answer(bundle: Bundle, examples: Examples, cache: Path) -> Scored:
    """What a bundle says of images, with those that it turns away as no lesion told as such."""
    ensemble = ready(bundle.members, cache, bundle.frame)
    answers = ensemble.in_batches(prepared(examples.pixels, bundle.preparation))
    answered = ~bundle.novelty.is_novel(answers.features)
    return score(answers.logits, examples, bundle.calibration, bundle.taxonomy, answered)


def summarise(scored: Scored, dropped_seen: int) -> Evaluation:
    """The evaluation of answers."""
    return Evaluation(**counts(scored, dropped_seen), metrics=measure(scored))


def counts(scored: Scored, dropped_seen: int) -> dict[str, Any]:
    """What an Evaluation is on."""
    codes = scored.taxonomy.codes
    of_class = np.bincount(scored.labels, minlength=len(codes)).tolist()
    return {
        "images": len(scored.labels),
        "lesions": len(set(scored.lesions)),
        "malignant_lesions": len(set(scored.lesions[scored.is_malignant])),
        "images_of_class": dict(zip(codes, of_class, strict=True)),
        "dropped_seen": dropped_seen,
    }
