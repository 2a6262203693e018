"""Soft labels from a bundle that knows more: the road to good weights for networks that have no pretrained ones.

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531.
"""

from typing import Final

import numpy as np

from ml import evaluate
from ml.bundle import Bundle
from ml.classes import BINARY, Taxonomy
from ml.data import examples as data
from ml.data.errors import DataError
from ml.data.table import Dataset
from ml.files import complete
from ml.prepare import prepared
from ml.recipes.recipe import Lesson, Teach
from ml.stack import malignant

TRUST: Final = 0.7
"""The weight of the teacher's answer; the rest is the label's."""

ANSWERS: Final = "teacher.npy"


def by_bundle(teacher: Bundle, dataset: Dataset) -> Teach:
    """A teacher that answers each train image of the data set once, with its calibrated probabilities, from frames as
    its own bundle wants them: it knows neither skin nor hair that it never saw, nor the lack of them. Asked, it raises
    DataError: `wrong_classes` where its classes say nothing about the labels', `unreadable` for an image that cannot be
    read any more.
    """

    def teach(lesson: Lesson) -> np.ndarray:
        kept = lesson.work / f"{teacher.hash[:16]}.{ANSWERS}"
        if not kept.exists():
            lesson.progress.stage(f"asking {teacher.name}")
            answers = _answers(teacher, dataset, lesson)
            with complete(kept) as file:
                np.save(file, answers)
        return mixed(np.load(kept), lesson.sides.train.labels)

    return teach


def mixed(answers: np.ndarray, labels: np.ndarray, trust: float = TRUST) -> np.ndarray:
    """A teacher's probabilities (n, k) and the labels int (n,) as soft labels float32 (n, k)."""
    return np.asarray(trust * answers + (1 - trust) * np.eye(answers.shape[1])[labels], dtype=np.float32)


def _answers(teacher: Bundle, dataset: Dataset, lesson: Lesson) -> np.ndarray:
    asked = data.load(lesson.sides.train.rows, dataset.images, teacher.frame, taxonomy=dataset.taxonomy)
    if asked.refused:
        first, reason = next(iter(asked.refused.items()))
        raise DataError(
            "unreadable",
            f"{len(asked.refused)} train images, {first} first ({reason}), could be read before and cannot now. "
            "See to the disk or share that holds them, and run this again.",
        )
    ensemble = evaluate.ready(teacher.members, lesson.work / "networks", teacher.frame)
    logits = ensemble.in_batches(prepared(asked.pixels, teacher.preparation)).logits
    probabilities = teacher.calibration.stack.probabilities(logits)
    return in_taxonomy(probabilities, teacher.taxonomy, lesson.taxonomy)


def in_taxonomy(probabilities: np.ndarray, of: Taxonomy, wanted: Taxonomy) -> np.ndarray:
    """Probabilities of the classes of one taxonomy as those of another, which is the same, BINARY, or one with more
    classes. Raises DataError `wrong_classes`.
    """
    if of == wanted:
        return probabilities
    if wanted == BINARY:
        sick = malignant(probabilities, of)
        return np.stack([1 - sick, sick], axis=1)
    if set(of.codes) <= set(wanted.codes):
        found = np.zeros((len(probabilities), len(wanted.codes)))
        found[:, [wanted.index[code] for code in of.codes]] = probabilities
        return found
    raise DataError("wrong_classes", f"The teacher knows {', '.join(of.codes)}, not {', '.join(wanted.codes)}.")
