"""Crops of total body photographs: a light network on the image alone that learns from one that is told age, sex, site
and size too.

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531.
"""

from typing import Final

import numpy as np

from ml.recipes import distillation
from ml.recipes.recipe import OWN_FRAMES, Lesson, Part, Recipe
from ml.recipes.tbp import benefit
from ml.recipes.tbp.teacher import Teacher
from ml.stack import softmax
from ml.training import Settings

TEMPERATURE: Final = 2.0
"""Divides the teacher's logits: it was fitted to these very images, and is surer of them than of new ones."""


def teach(lesson: Lesson) -> np.ndarray:
    """The teacher's softened probabilities mixed with the labels, float32 (n, classes), for the train side. Fits the
    student's twin on labels alone too, which shows later what the teacher was good for. Raises DataError `other_data`
    where the three would not be fitted alike.
    """
    benefit.require_alike(lesson, lesson.work.parent)
    benefit.image_alone(lesson)
    answers = softmax(Teacher(lesson).logits(lesson.sides.train) / TEMPERATURE)
    return distillation.mixed(answers, lesson.sides.train.labels)


RECIPE: Final = Recipe(
    name="tbp-distill",
    title="a light network on the image alone that learns from a teacher on image and metadata",
    members=(Part("mobilenet_v2", Settings(epochs=16, samples=8192, label_smoothing=0.0), size=(128, 96)),),
    benign_per_malignant=50,
    teach=teach,
    extras=(benefit.sentences,),
    differs=(
        "The authors' split and figures are not known: it is fitted once, by lesion and patient, and stands beside "
        "its own image-alone twin.",
        "It is made for phone-quality images in so far as augmentation adds the faults of such photos; what these cost "
        "it is not measured here.",
        f"The soft labels are the teacher's probabilities at temperature {TEMPERATURE:g}, weight {distillation.TRUST:g}"
        f", and the label, weight {1 - distillation.TRUST:.1f}, in one cross-entropy; the student itself answers at "
        "temperature 1, and calibration undoes what this softens.",
        "The teacher is the student's network and size with the metadata joined before the head, so that what it does "
        "better than the image alone comes from the metadata.",
        "Where there are more than 50 benign images for each malignant one, the others are left out by chance on every "
        "side and counted as benign_left_out: ranks (AUC, pAUC) are measured as on all images, but probabilities hold "
        "for that share of malignant ones and are too high where they are rarer.",
        OWN_FRAMES,
    ),
)
