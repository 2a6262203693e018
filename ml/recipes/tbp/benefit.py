"""What the metadata are worth, and how much of it a student keeps that never sees them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from ml import evaluate, gate, stack
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.metrics import Metric, Scored, malignant_auc, measure
from ml.metrics.measured import words
from ml.recipes import fitting, measures
from ml.recipes.fitting import Fitted
from ml.recipes.recipe import Lesson, Made
from ml.recipes.tbp import metadata, teacher
from ml.recipes.tbp.teacher import Teacher

METRICS: Final[dict[str, Metric]] = {"malignant_auc": malignant_auc, "partial_auc": measures.partial_auc}
LABELS: Final = {"malignant_auc": "malignant AUC", "partial_auc": "pAUC above 80 % sensitivity"}

TWIN: Final = "image-alone"
"""The folder of the student's twin, beside the teacher."""

METADATA, IMAGE, TEACHER, STUDENT = "metadata alone", "image alone", "teacher, image and metadata", "student"


def require_alike(lesson: Lesson, student: Path) -> None:
    """Raises DataError `other_data` where the student in a folder, its twin and its teacher are not all fitted in one
    way, those that are finished among them: a difference between them would not be the metadata's alone.
    """
    part, work = lesson.recipe.members[0], lesson.work
    ways = [
        fitting.way(part, student),
        fitting.way(part, work / TWIN),
        fitting.way(teacher.as_teacher(part), work),
    ]
    if any(way != ways[0] for way in ways):
        raise DataError(
            "other_data",
            f"The {STUDENT} in {student}, its twin and its {teacher.NAME} would not be fitted with the same --keep, "
            "--epochs, --samples and --seed, so nothing could be told from their difference. Say those again with "
            f"which it began, or delete {student} to train them anew.",
        )


def image_alone(lesson: Lesson) -> Fitted:
    """The student's twin: the same network, start, settings and seed, fitted to the labels alone."""
    return fitting.fit(replace(lesson, work=lesson.work / TWIN), soft_labels=None)


def sentences(made: Made) -> list[str]:
    """For the card: metadata alone, image alone, teacher and student on the same test images, each calibrated on the
    validation side, and the paired differences that say what the metadata are worth.

    Nothing where the soft labels came from a bundle instead.
    """
    work = made.work / "teacher"
    if not (work / f"{teacher.NAME}.npz").exists():
        return []
    lesson = Lesson(made.recipe, made.sides, made.taxonomy, work, None, None, made.progress)
    return told(answers(made, Teacher(lesson), image_alone(lesson)), made.draws)


def answers(made: Made, taught_by: Teacher, twin: Fitted) -> dict[str, Scored]:
    """All four on the test images of the bundle."""
    train = made.sides.train
    by_metadata = metadata.classifier(taught_by.metadata.vectors(train.rows), train.labels)

    def calibrated(logits_on: Mapping[str, np.ndarray]) -> Scored:
        validation = made.sides.validation
        fitted, _ = stack.fit(
            logits_on["validation"][:, None], validation.labels, validation.lesions, taxonomy=made.taxonomy
        )
        return replace(made.scored, probabilities=fitted.probabilities(logits_on["test"][:, None]), decisions=None)

    sides: dict[str, Examples] = {"validation": made.sides.validation, "test": made.test}
    vectors = {side: taught_by.metadata.vectors(examples.rows) for side, examples in sides.items()}
    alone = twin.ensemble.in_batches(made.test.pixels).logits
    return {
        METADATA: calibrated({side: by_metadata.predict_log_proba(told) for side, told in vectors.items()}),
        IMAGE: evaluate.score(alone, made.test, twin.calibration, made.taxonomy),
        TEACHER: calibrated({side: taught_by.logits(examples) for side, examples in sides.items()}),
        STUDENT: made.scored,
    }


def told(scored: Mapping[str, Scored], draws: int) -> list[str]:
    """The comparison as sentences, in the order of the keys; the differences are of the last two to `image alone`."""
    first = scored[IMAGE]
    malignant = int(first.is_malignant.sum())
    lines = [
        f"What the metadata (age, sex, site, size) are worth, on the same {len(first.labels)} test images "
        f"({malignant} malignant), by malignant AUC and by pAUC, the area above 80 % sensitivity (0 to 0.2):"
    ]
    for name, one in scored.items():
        values = measure(one, draws, metrics=METRICS)
        found = [f"{LABELS[key]} {words(vars(value))}" for key, value in values.items()]
        lines.append(f"{name}: {', '.join(found)}.")
    for name in (TEACHER, STUDENT):
        rows = gate.compare(first, scored[name], draws=draws, metrics=METRICS).rows
        found = [f"{LABELS[row.metric]} {words(vars(row.difference), sign='+')}" for row in rows]
        lines.append(f"{name} minus {IMAGE}, paired by lesion: {', '.join(found)}.")
    return lines
