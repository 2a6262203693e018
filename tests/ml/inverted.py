"""A backbone of what MobileNetV2 is made of, each once, that trains and converts in a second."""

import keras
from keras import layers


def backbone(shape: tuple[int, int, int]) -> keras.Model:
    """Scaled pixels (n, rows, columns, 3) to a feature map of 16 channels."""
    image = layers.Input(shape)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(image)
    x = layers.Conv2D(8, 3, 2, use_bias=False)(x)
    x = before = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization(scale=False)(layers.Conv2D(8, 1)(x))
    x = layers.Add()([before, x])
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 3, 2, use_bias=False)(x)))
    return keras.Model(image, x, name="inverted")
