"""The release that ships: light networks from ImageNet, fine-tuned with strong augmentation and mixed images, and
stacked.
"""

from dataclasses import replace
from typing import Final

from ml.recipes.recipe import Part, Recipe
from ml.training import Settings

SETTINGS: Final = Settings(epochs=8, learning_rate=5e-4, mixup=0.3)
VIEWS: Final = ("whole", "middle")

RECIPE: Final = Recipe(
    name="release",
    title="the ensemble that ships",
    members=(
        Part("mobilenet_v2", SETTINGS, views=VIEWS),
        Part("efficientnet_lite0", SETTINGS, views=VIEWS),
        Part("efficientnet_lite2", SETTINGS, size=(224, 168)),  # a second view would double its time for nothing
        # The last one's features tell what is no lesion, and MobileNet's tell it best.
        Part("mobilenet", replace(SETTINGS, epochs=6), views=VIEWS),
    ),
    sharp_copies=True,
)
