"""The release that ships: light networks from ImageNet, fine-tuned long with strong augmentation, stacked."""

from dataclasses import replace
from typing import Final

from ml.recipes.recipe import Part, Recipe
from ml.training import Settings

SETTINGS: Final = Settings(epochs=24)
VIEWS: Final = ("whole", "middle")

RECIPE: Final = Recipe(
    name="release",
    title="the ensemble that ships",
    members=(
        Part("mobilenet_v2", SETTINGS, views=VIEWS),
        Part("efficientnet_lite0", replace(SETTINGS, epochs=20), views=VIEWS),
        Part("mobilenet", SETTINGS, views=VIEWS),
    ),
    sharp_copies=True,
)
