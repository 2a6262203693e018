"""A convolutional network from scratch, over all classes that the data have."""

from typing import Final

from ml.recipes.recipe import OWN_FRAMES, Part, Recipe
from ml.recipes.sides import ByImage
from ml.training import Settings

RECIPE: Final = Recipe(
    name="ham-cnn",
    title="a small convolutional network from scratch at 128 x 128",
    members=(
        Part(
            "plain",
            Settings(
                epochs=40,
                learning_rate=1e-3,
                weight_decay=0.0,
                label_smoothing=0.0,
                ema=0.0,
                cosine=False,
                sampling="balanced",
                augmentation="geometric",
            ),
            size=(128, 128),
            imagenet=False,
        ),
    ),
    authors_split=ByImage(test=0.2, validation=0.1),
    differs=(
        "Balanced sampling draws naevi more seldom than they occur and the others more often, anew in each epoch.",
        "The authors show training curves and a confusion matrix, and report no figure.",
        "The authors' shares of train, validation and test are not known; these are 70, 10 and 20 %.",
        "Adam's gradients are clipped to norm 1, a spatial dropout of 0.3 stands before the last layer, and frames of "
        "4:3 are squeezed to a square.",
        OWN_FRAMES,
    ),
)
