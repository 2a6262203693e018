"""The release that ships: light networks from ImageNet, fine-tuned with strong augmentation, averaged with the release
that they went on from, and stacked.
"""

from dataclasses import replace
from typing import Final

from ml.recipes.recipe import Part, Recipe
from ml.training import Settings

SETTINGS: Final = Settings(epochs=17)
VIEWS: Final = ("whole", "middle")
KEEPS: Final = 0.25

RECIPE: Final = Recipe(
    name="release",
    title="the ensemble that ships",
    members=(
        Part("mobilenet_v2", SETTINGS, views=VIEWS, keeps=KEEPS),
        Part("efficientnet_lite0", replace(SETTINGS, epochs=14), views=VIEWS, keeps=KEEPS),
        Part("mobilenet", replace(SETTINGS, epochs=5, learning_rate=4e-4), views=VIEWS, keeps=KEEPS),
    ),
    sharp_copies=True,
)
