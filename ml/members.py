"""The networks that can stand in an ensemble, all with one kind of head.

The head is a 1x1 convolution to seven class activation maps, whose mean over space is the logits. That equals global
average pooling and one dense layer (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016),
so the heatmap comes out of the same forward pass.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import keras
from keras import layers

from ml.classes import CLASSES
from ml.efficientnet_lite import efficientnet_lite0
from ml.imaging.preprocess import Size

BATCH_NORM_MOMENTUM: Final = 0.97
"""Keras's MobileNetV2 has 0.999: in a fine-tune of some thousand steps its moving statistics would lag behind the
weights.
"""


def _tiny(input_shape: tuple[int, int, int]) -> keras.Model:
    """A network for tests: two convolutions, trained or converted in a second."""
    image = layers.Input(input_shape)
    x = layers.Conv2D(8, 5, 4, "same", activation="relu")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(16, 3, 4, "same", activation="relu")(x)
    return keras.Model(image, x, name="tiny")


def _mobilenet(input_shape: tuple[int, int, int]) -> keras.Model:
    return keras.applications.MobileNet(include_top=False, weights=None, input_shape=input_shape)


def _mobilenet_v2(input_shape: tuple[int, int, int]) -> keras.Model:
    return keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=input_shape)


BACKBONES: Final[dict[str, Callable[[tuple[int, int, int]], keras.Model]]] = {
    "mobilenet": _mobilenet,
    "mobilenet_v2": _mobilenet_v2,
    "efficientnet_lite0": efficientnet_lite0,
    "tiny": _tiny,
}


def build(name: str, size: Size, dropout: float = 0.3) -> keras.Model:
    """A member with random weights.

    Input: uint8 RGB, shape (n, height, width, 3). Output: a dict of `logits`, float32 (n, 7), and `maps`, float32 (n,
    rows, columns, 7), of which the logits are the mean over rows and columns. Raises KeyError for a name that is not
    in BACKBONES.
    """
    width, height = size
    backbone = BACKBONES[name]((height, width, 3))
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    image = layers.Input((height, width, 3), dtype="uint8", name="image")
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    features: Any = layers.SpatialDropout2D(dropout, name="dropout")(backbone(scaled))
    maps = layers.Conv2D(len(CLASSES), 1, name="maps")(features)
    logits = layers.GlobalAveragePooling2D(name="logits")(maps)
    return keras.Model(image, {"logits": logits, "maps": maps}, name=name)


def load_imagenet(model: keras.Model, folder: Path) -> None:
    """Puts the ImageNet weights found in `folder` into a member's backbone. Raises FileNotFoundError with the names
    looked for.
    """
    backbone = model.get_layer(index=2)
    paths = [folder / f"{model.name}_imagenet_notop.weights.h5", folder / f"{model.name}_imagenet_notop.keras"]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"No ImageNet weights for {model.name}: looked for {paths[0].name} and {paths[1].name} in {folder}."
        )
    if path.suffix == ".keras":
        backbone.set_weights(keras.models.load_model(path, compile=False).get_weights())
    else:
        backbone.load_weights(path)
