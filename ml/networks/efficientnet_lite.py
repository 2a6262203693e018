"""EfficientNet-Lite's feature extractors: no squeeze-excite, ReLU6, so that they run fast and quantise well.

Source: TensorFlow TPU repository, `efficientnet/lite` (Apache-2.0); Tan and Le, EfficientNet, ICML 2019,
arXiv:1905.11946, table 1.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import keras
from keras import layers

BLOCKS: Final = (
    # repeats, channels, expansion, kernel, stride of the first
    (1, 16, 1, 3, 1),
    (2, 24, 6, 3, 2),
    (2, 40, 6, 5, 2),
    (3, 80, 6, 3, 2),
    (3, 112, 6, 5, 1),
    (4, 192, 6, 5, 2),
    (1, 320, 6, 3, 1),
)


def efficientnet_lite(name: str, width: float = 1.0, depth: float = 1.0) -> Callable[..., keras.Model]:
    """Makes the network whose channels and repeats are those of Lite0 (BLOCKS) times `width` and `depth`: (1.1, 1.2)
    for Lite2. It goes from an image scaled to [-1, 1], shape (n, height, width, 3), to its last feature map (n,
    height/32, width/32, 1280).
    """

    def made(input_shape: tuple[int, int, int]) -> keras.Model:
        image = layers.Input(input_shape, name="image")
        x = _activated(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem_conv")(image), "stem")
        index = 0
        for place, (repeats, channels, expansion, kernel, first_stride) in enumerate(BLOCKS):
            single = place in (0, len(BLOCKS) - 1)  # the first and last block stand alone at every depth
            for repeat in range(repeats if single else math.ceil(repeats * depth)):
                x = _block(
                    x,
                    f"block{index}",
                    channels=_rounded(channels * width),
                    expansion=expansion,
                    kernel=kernel,
                    stride=first_stride if repeat == 0 else 1,
                )
                index += 1
        x = _activated(layers.Conv2D(1280, 1, 1, "same", use_bias=False, name="head_conv")(x), "head")
        return keras.Model(image, x, name=name)

    return made


def _rounded(channels: float) -> int:
    """To a multiple of eight that is not much smaller."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def _block(x: Any, name: str, *, channels: int, expansion: int, kernel: int, stride: int) -> Any:
    """An inverted residual: widen, filter each channel, narrow, and add the input where shapes allow."""
    shortcut, width = x, x.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(width * expansion, 1, 1, "same", use_bias=False, name=f"{name}_expand_conv")(x)
        x = _activated(x, f"{name}_expand")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_dw")(x)
    x = _activated(x, f"{name}_depthwise")
    x = layers.Conv2D(channels, 1, 1, "same", use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_project_bn")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and width == channels else x
