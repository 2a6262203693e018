"""The segmentation network: a MobileNetV2 encoder cut at stride 16, and a decoder that adds what each stride saw.

Sources: Ronneberger et al., U-Net, MICCAI 2015 (skips); Lin et al., Feature Pyramid Networks, CVPR 2017 (sums of 1x1
projections in place of concatenation); Sandler et al., MobileNetV2, CVPR 2018.
"""

from pathlib import Path
from typing import Any, Final

import keras
from keras import layers

from ml.imaging.preprocess import Size
from ml.networks.members import BATCH_NORM_MOMENTUM

STRIDE: Final = 16
SKIPS: Final = ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")
"""The encoder's last maps at strides 2, 4, 8 and 16."""

WIDTHS: Final = (32, 48, 64, 96)
"""Channels of the decoder at the same strides."""

IMAGENET: Final = "mobilenet_v2_imagenet_notop.weights.h5"


def build(size: Size, backbones: Path | None = None) -> keras.Model:
    """The network, with ImageNet weights in its encoder where `backbones` names their folder, else random ones.

    Input: uint8 RGB, shape (n, height, width, 3). Output: logits that a pixel is lesion, float32 (n, height, width, 1).
    Raises ValueError for a size that is not a multiple of 16, FileNotFoundError when the folder lacks the weights.
    """
    width, height = size
    if width % STRIDE or height % STRIDE:
        raise ValueError(f"{width} x {height} is not a multiple of {STRIDE}.")
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(height, width, 3))
    if backbones is not None:
        backbone.load_weights(imagenet_file(backbones))
    encoder = keras.Model(backbone.input, [backbone.get_layer(name).output for name in SKIPS], name="encoder")
    image = layers.Input((height, width, 3), dtype="uint8", name="image")
    *shallow, deep = encoder(layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image))
    x: Any = _block(deep, WIDTHS[-1], 1, "deep_project")
    x = _with_context(_block(x, WIDTHS[-1], 3, "deep"))
    for skip, channels, stride in zip(reversed(shallow), reversed(WIDTHS[:-1]), (8, 4, 2), strict=True):
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"up_{stride}")(
            _project(x, channels, f"down_{stride}")
        )
        x = layers.Add(name=f"add_{stride}")([x, _project(skip, channels, f"skip_{stride}")])
        x = _block(layers.ReLU(name=f"fused_{stride}")(x), channels, 3, f"decode_{stride}")
    x = layers.Conv2D(1, 1, name="lesion")(x)
    model = keras.Model(image, layers.UpSampling2D(2, interpolation="bilinear", name="logits")(x), name="segmenter")
    for layer in [*encoder.layers, *model.layers]:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return model


def imagenet_file(backbones: Path) -> Path:
    """The file in a folder with the encoder's ImageNet weights. Raises FileNotFoundError when the folder lacks it."""
    file = backbones / IMAGENET
    if not file.exists():
        raise FileNotFoundError(f"No ImageNet weights: looked for {IMAGENET} in {backbones}.")
    return file


def _project(x: Any, channels: int, name: str) -> Any:
    x = layers.Conv2D(channels, 1, use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _block(x: Any, channels: int, kernel: int, name: str) -> Any:
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def _with_context(x: Any) -> Any:
    """Adds what the whole frame looks like: whether brown is lesion depends on the skin."""
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="context_mean")(x)
    return layers.Add(name="context")([x, layers.Conv2D(x.shape[-1], 1, name="context_project")(mean)])
