"""A frozen MobileNetV2 with a small head: malignant or benign."""

from typing import Final

from ml.classes import BINARY
from ml.recipes.contact_sheet import of_test_images
from ml.recipes.recipe import OWN_FRAMES, Part, Recipe
from ml.recipes.sides import ByImage
from ml.training import Settings

RECIPE: Final = Recipe(
    name="mobilenetv2-binary",
    title="a frozen MobileNetV2 with a dense layer of 64, malignant or benign",
    members=(
        Part(
            "mobilenet_v2_dense64",
            Settings(
                epochs=10,
                batch=32,
                learning_rate=1e-3,
                weight_decay=0.0,
                label_smoothing=0.0,
                ema=0.0,
                cosine=False,
                sampling="none",
                augmentation="slight",
                freeze_backbone=True,
            ),
        ),
    ),
    reported={"accuracy": 0.8993, "malignant_auc": 0.85},
    authors_split=ByImage(test=0.2, validation=0.08),
    taxonomy=BINARY,
    differs=(
        "The network sees the image alone, as the authors' does; a missing age, sex or site is counted instead of "
        "replaced by the median or the word unknown.",
        "Two logits in place of one sigmoid: the sigmoid of their difference is the same function.",
        "Adam's gradients are clipped to norm 1, and the network sees 192 x 144 pixels, the frame's own shape.",
        "The frozen backbone is the file with the SHA-256 above: other ImageNet weights give other figures.",
        OWN_FRAMES,
    ),
    extras=(of_test_images,),
)
