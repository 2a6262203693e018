"""Malignant or benign from four networks, stacked by logistic regression."""

from dataclasses import replace
from typing import Final

from ml.classes import BINARY
from ml.recipes.recipe import OWN_FRAMES, Part, Recipe
from ml.recipes.sides import ByImage
from ml.training import Settings

SETTINGS: Final = Settings(epochs=40, sampling="balanced", augmentation="strong")
FROM_SCRATCH: Final = replace(SETTINGS, epochs=80, learning_rate=1e-3)

RECIPE: Final = Recipe(
    name="lesionlens",
    title="four networks stacked by logistic regression, malignant or benign, on lesions without hair and skin",
    members=(
        Part("mobilenet", SETTINGS),
        Part("densenet121", FROM_SCRATCH, imagenet=False),
        Part("densenet169", FROM_SCRATCH, imagenet=False),
        Part("nasnet_mobile", FROM_SCRATCH, imagenet=False),
    ),
    reported={"accuracy": 0.874, "precision": 0.867, "recall": 0.874, "f1": 0.866, "malignant_auc": 0.761},
    authors_split=ByImage(test=0.2, validation=0.1),
    taxonomy=BINARY,
    remove_hair=True,
    mask=True,
    differs=(
        "The authors start all four networks from ImageNet; here only MobileNet does, and the others learn from random "
        "weights, or from a teacher where one is given.",
        "Classes are balanced by drawing them equally often, each time in another random view, instead of writing "
        "augmented copies.",
        "The authors' shares of train, validation and test are not known; these are 70, 10 and 20 %.",
        "Hair is removed and the skin blanked because the authors do so: that this helps was not measured here.",
        "The authors also report human experts: accuracy 0.840, recall 0.855, AUC 0.710.",
        OWN_FRAMES,
    ),
)
