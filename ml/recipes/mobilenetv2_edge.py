"""MobileNetV2 for low-end devices: the lesion alone, focal loss, balanced sampling, and 8 bits that it learnt with."""

from typing import Final

from ml.recipes.eight_bits import in_eight_bits, require
from ml.recipes.recipe import OWN_FRAMES, Part, Recipe
from ml.recipes.sides import ByImage
from ml.training import Settings

RECIPE: Final = Recipe(
    name="mobilenetv2-edge",
    title="MobileNetV2 for low-end devices, on lesions without the skin around them, also in 8 bits as .tflite",
    members=(Part("mobilenet_v2", Settings(epochs=20, loss="focal", sampling="balanced", label_smoothing=0.0)),),
    authors_split=ByImage(test=0.2, validation=0.1),
    mask=True,
    differs=(
        "The authors report no figure, but that the network over-fits and is weak in the rare classes; against that "
        "stand strong augmentation, decoupled weight decay and averaged weights.",
        "The authors' shares of train, validation and test are not known; these are 70, 10 and 20 %.",
        "The skin is blanked because the authors focus on the lesion: that this helps was not measured here.",
        OWN_FRAMES,
    ),
    extras=(in_eight_bits,),
    needs=require,
)
