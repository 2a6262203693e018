"""The networks that can stand in an ensemble, and the views that they take of a frame.

Most end in a 1x1 convolution to class activation maps, whose mean over space is the logits. That equals global average
pooling and one dense layer (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016), so the
heatmap comes out of the same forward pass. A head with a hidden layer answers the pooled features, and its maps are
what it would answer if the whole image looked like the place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
from keras import layers, ops

from ml.imaging.preprocess import Size
from ml.networks.efficientnet_lite import efficientnet_lite

BATCH_NORM_MOMENTUM: Final = 0.97
"""Keras's MobileNetV2 has 0.999: in a fine-tune of some thousand steps its moving statistics would lag behind the
weights.
"""

MIDDLE: Final = 0.75
"""The share of the frame's width and height that the view `middle` enlarges."""


def _tiny(input_shape: tuple[int, int, int]) -> keras.Model:
    """A network for tests: two convolutions, trained or converted in a second."""
    image = layers.Input(input_shape)
    x = layers.Conv2D(8, 5, 4, "same", activation="relu")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(16, 3, 4, "same", activation="relu")(x)
    return keras.Model(image, x, name="tiny")


def _plain(input_shape: tuple[int, int, int]) -> keras.Model:
    """Five convolutions from 16 to 256 channels, each but the last followed by max pooling."""
    image = layers.Input(input_shape)
    x = image
    for index, channels in enumerate((16, 32, 64, 128, 256)):
        x = layers.MaxPooling2D()(x) if index else x
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return keras.Model(image, x, name="plain")


def _published(name: str) -> Callable[[tuple[int, int, int]], keras.Model]:
    """A network of `keras.applications`, with random weights."""

    def made(input_shape: tuple[int, int, int]) -> keras.Model:
        return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=input_shape)

    return made


BACKBONES: Final[dict[str, Callable[[tuple[int, int, int]], keras.Model]]] = {
    "mobilenet": _published("MobileNet"),
    "mobilenet_v2": _published("MobileNetV2"),
    "efficientnet_lite0": efficientnet_lite("efficientnet_lite0"),
    "efficientnet_lite2": efficientnet_lite("efficientnet_lite2", width=1.1, depth=1.2),
    "densenet121": _published("DenseNet121"),
    "densenet169": _published("DenseNet169"),
    "nasnet_mobile": _published("NASNetMobile"),
    "plain": _plain,
    "tiny": _tiny,
}


@dataclass(frozen=True)
class Architecture:
    """One of BACKBONES, the units of a hidden layer behind it (0 for none), and whether pixels are scaled to [0, 1]
    instead of [-1, 1].
    """

    backbone: str
    hidden: int = 0
    unit_range: bool = False


ARCHITECTURES: Final[dict[str, Architecture]] = {
    **{name: Architecture(name) for name in BACKBONES},
    "plain": Architecture("plain", unit_range=True),
    "mobilenet_v2_dense64": Architecture("mobilenet_v2", hidden=64),
}
"""By the name of a member."""


def build(name: str, size: Size, classes: int = 7, dropout: float = 0.3) -> keras.Model:
    """A member with random weights, as it is trained: on one view.

    Input: uint8 RGB, shape (n, height, width, 3). Output: a dict of `logits`, float32 (n, classes), `maps`, float32 (n,
    rows, columns, classes), and `features`, float32 (n, channels), the mean of the backbone's last feature map. Without
    a hidden layer the logits are the mean of the maps over rows and columns. Raises KeyError for a name that is not in
    ARCHITECTURES.
    """
    width, height = size
    architecture = ARCHITECTURES[name]
    backbone = BACKBONES[architecture.backbone]((height, width, 3))
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    image = layers.Input((height, width, 3), dtype="uint8", name="image")
    scale = (1 / 255, 0.0) if architecture.unit_range else (1 / 127.5, -1.0)
    found: Any = backbone(layers.Rescaling(*scale, name="scale")(image))
    features = layers.GlobalAveragePooling2D(name="features")(found)
    if architecture.hidden:
        hidden = layers.Dense(architecture.hidden, "relu", name="hidden")
        head = layers.Dense(classes, name="head")
        logits = head(layers.Dropout(dropout, name="dropout")(hidden(features)))
        maps = head(hidden(found))
    else:
        maps = layers.Conv2D(classes, 1, name="maps")(layers.SpatialDropout2D(dropout, name="dropout")(found))
        logits = layers.GlobalAveragePooling2D(name="logits")(maps)
    return keras.Model(image, {"logits": logits, "maps": maps, "features": features}, name=name)


def serving(model: keras.Model, frame: Size, views: Sequence[str]) -> keras.Model:
    """A member of `build` as it serves: from frames, uint8 (n, height, width, 3), to the same dict.

    The logits are the mean over `views`, maps and features are those of the first. Raises KeyError for a view that is
    not in VIEWS.
    """
    height, width = model.input.shape[1:3]
    image = layers.Input((frame[1], frame[0], 3), dtype="uint8", name="frame")
    pixels = ops.cast(image, "float32")
    seen = ops.stack([VIEWS[view](pixels, (width, height)) for view in views], axis=1)
    # Rounded, since a photo's pixels are whole numbers in training too.
    flat = ops.cast(ops.round(ops.reshape(seen, (-1, height, width, 3))), "uint8")
    answer = model(flat)

    def of_views(values: Any) -> Any:
        return ops.reshape(values, (-1, len(views), *values.shape[1:]))

    return keras.Model(
        image,
        {
            "logits": ops.mean(of_views(answer["logits"]), axis=1),
            "maps": of_views(answer["maps"])[:, 0],
            "features": of_views(answer["features"])[:, 0],
        },
        name=f"{model.name}_serving",
    )


def _whole(pixels: Any, size: Size) -> Any:
    if pixels.shape[1:3] == (size[1], size[0]):
        return pixels
    return ops.image.resize(pixels, (size[1], size[0]), interpolation="bilinear")


def _middle(pixels: Any, size: Size) -> Any:
    height, width = pixels.shape[1:3]
    rows, columns = round(height * MIDDLE), round(width * MIDDLE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return _whole(pixels[:, top : top + rows, left : left + columns], size)


VIEWS: Final[dict[str, Callable[[Any, Size], Any]]] = {"whole": _whole, "middle": _middle}
"""What a member looks at, from a frame and the size of its input."""


def imagenet_file(name: str, folder: Path) -> Path:
    """The file in `folder` with the ImageNet weights of a member's backbone. Raises FileNotFoundError with the names
    looked for.
    """
    backbone = ARCHITECTURES[name].backbone
    paths = [folder / f"{backbone}_imagenet_notop.weights.h5", folder / f"{backbone}_imagenet_notop.keras"]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"No ImageNet weights for {backbone}: looked for {paths[0].name} and {paths[1].name} in {folder}."
        )
    return path


def load_imagenet(model: keras.Model, file: Path) -> None:
    """Puts the ImageNet weights of an `imagenet_file` into a member's backbone."""
    backbone = model.get_layer(index=2)
    if file.suffix == ".keras":
        backbone.set_weights(keras.models.load_model(file, compile=False).get_weights())
    else:
        backbone.load_weights(file)
