"""The teacher: a member that is told the metadata too."""

from dataclasses import replace
from typing import Final

import keras
import numpy as np
from keras import layers

from ml import training
from ml.data.examples import Examples
from ml.imaging.preprocess import whole
from ml.networks import members, weights
from ml.recipes import fitting
from ml.recipes.recipe import Lesson, Part
from ml.recipes.tbp.metadata import Metadata, learnt

NAME: Final = "teacher"
HIDDEN: Final = 32
"""Units of each of the two layers that the metadata go through."""
BATCH: Final = 64


def build(part: Part, width: int, classes: int, lesson: Lesson | None = None) -> keras.Model:
    """The network of a member that sees `metadata`, float32 (n, width), beside `image`, uint8 (n, height, width, 3):
    the metadata go through two small dense layers and join the image's features before the head. Gives `logits`,
    float32 (n, classes). Starts from what the student of a `lesson` starts from, where one is given.
    """
    member = members.build(part.name, part.size, classes)
    if lesson is not None:
        fitting.begin(member, part, lesson)
    told = layers.Input((width,), name="metadata")
    known = layers.Dense(HIDDEN, "relu", name="metadata_1")(told)
    known = layers.Dense(HIDDEN, "relu", name="metadata_2")(known)
    seen = layers.Dropout(0.3, name="seen")(member.output["features"])
    logits = layers.Dense(classes, name="head")(layers.Concatenate(name="joined")([seen, known]))
    return keras.Model({"image": member.input, "metadata": told}, {"logits": logits}, name=NAME)


def as_teacher(part: Part) -> Part:
    """The teacher as `ml.recipes.fitting` notes it beside its weights: fitted as the student is."""
    return replace(part, name=NAME)


class Teacher:
    """A teacher, fitted to the train side with the settings of the recipe's first member."""

    def __init__(self, lesson: Lesson) -> None:
        """Leaves `<work>/teacher.npz`; an interrupted run goes on. Raises DataError `other_data` for one that was
        interrupted with other settings, FileNotFoundError for missing ImageNet weights.
        """
        train, part = lesson.sides.train, lesson.recipe.members[0]
        self.metadata: Metadata = learnt(train.rows)
        self._size = part.size
        finished = lesson.work / f"{NAME}.npz"
        classes = len(lesson.taxonomy.codes)
        fitting.require_as_begun(as_teacher(part), lesson.work)
        if not finished.exists():
            lesson.progress.stage(f"training the {NAME}")
            fitting.note(as_teacher(part), lesson.work)
            keras.utils.set_random_seed(part.settings.seed)
            model = build(part, self.metadata.width, classes, lesson)
            training.fit(
                model,
                train,
                lesson.sides.validation,
                part.settings,
                lesson.progress,
                work=lesson.work / f"{NAME}.checkpoint",
                metadata=(self.metadata.vectors(train.rows), self.metadata.vectors(lesson.sides.validation.rows)),
            )
            weights.save(model, finished)
            keras.utils.clear_session()
        self._model = build(part, self.metadata.width, classes)
        weights.load(self._model, finished)

    def logits(self, examples: Examples) -> np.ndarray:
        """float32 (n, classes), from whole frames and the metadata of their rows."""
        given = {"image": whole(examples.pixels, self._size), "metadata": self.metadata.vectors(examples.rows)}
        return np.asarray(self._model.predict(given, batch_size=BATCH, verbose=0)["logits"])
