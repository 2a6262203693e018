"""A folded network that rounds as its 8-bit file will, so that it can learn to live with it.

Weights: 255 levels in each output channel, symmetric about zero, as wide as its largest weight. Activations: 256 levels
in each tensor, over a range taken from training images. Gradients pass the rounding as if it were not there.
"""

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops

from ml.quantisation.folding import CONVOLUTIONS, Pixels

Ranges = Mapping[str, tuple[float, float]]
"""The lowest and highest value of what a layer gives, by its name; zero lies between them."""

ACTIVATIONS: Final = (layers.ReLU, layers.Activation)
KEEP_LEVELS: Final = (layers.InputLayer, layers.ZeroPadding2D, layers.MaxPooling2D)
"""What these give lies on the levels of what they were given."""

OUTLIERS: Final = 0.01
"""The share of images whose extremes may lie beyond a range: one odd image would make all levels coarse."""

BATCH: Final = 16


class EightBits(layers.Layer):  # type: ignore[misc]
    """Rounds to the nearest of 256 levels between `low` and `high`, of which one is exactly zero."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def call(self, values: Any) -> Any:
        """The rounded values, of the same shape."""
        return keras.quantizers.fake_quant_with_min_max_vars(values, self.low, self.high)

    def get_config(self) -> dict[str, Any]:
        """With the range."""
        return {**super().get_config(), "low": self.low, "high": self.high}


class RoundedConv2D(layers.Conv2D):  # type: ignore[misc]
    """A convolution with rounded weights."""

    def call(self, values: Any) -> Any:
        """As Conv2D."""
        found = ops.conv(values, on_levels(self.kernel), strides=self.strides, padding=self.padding)
        return self.activation(found + self.bias)


class RoundedDepthwiseConv2D(layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution with rounded weights."""

    def call(self, values: Any) -> Any:
        """As DepthwiseConv2D."""
        found = ops.depthwise_conv(values, on_levels(self.kernel), strides=self.strides, padding=self.padding)
        return self.activation(found + self.bias)


ROUNDED: Final[dict[Any, Any]] = {layers.Conv2D: RoundedConv2D, layers.DepthwiseConv2D: RoundedDepthwiseConv2D}
PLAIN: Final[dict[Any, Any]] = {rounded: plain for plain, rounded in ROUNDED.items()}


def on_levels(kernel: Any) -> Any:
    """A kernel rounded to 255 levels in each output channel: (rows, columns, in, out), or (rows, columns, in, 1) of a
    depthwise convolution.
    """
    shape = tuple(kernel.shape)
    flat = ops.reshape(kernel, (-1, shape[2] if shape[3] == 1 else shape[3]))
    limit = ops.maximum(ops.stop_gradient(ops.max(ops.abs(flat), axis=0)), 1e-6)
    rounded = keras.quantizers.fake_quant_with_min_max_vars(flat, -limit, limit, narrow_range=True, axis=1)
    return ops.reshape(rounded, shape)


def ranges(network: keras.Model, pixels: np.ndarray) -> dict[str, tuple[float, float]]:
    """Where rounding happens in a network of `ml.quantisation.folding`, and between which values, from scaled pixels,
    float32 (n, height, width, 3): behind every layer that computes, but not between it and its activation.
    """
    activated = {id(layer.input) for layer in network.layers if isinstance(layer, ACTIVATIONS)}
    points = [
        layer for layer in network.layers if not isinstance(layer, KEEP_LEVELS) and id(layer.output) not in activated
    ]

    def extremes(values: Any) -> Any:
        flat = ops.reshape(values, (-1, int(np.prod(values.shape[1:]))))
        return ops.stack([ops.min(flat, axis=1), ops.max(flat, axis=1)], axis=1)

    watched = keras.Model(network.input, ops.stack([extremes(layer.output) for layer in points], axis=1))
    found = np.asarray(watched.predict(pixels, batch_size=BATCH, verbose=0))
    low = np.minimum(np.quantile(found[..., 0], OUTLIERS, axis=0), 0)
    high = np.maximum(np.quantile(found[..., 1], 1 - OUTLIERS, axis=0), np.maximum(low + 1e-3, 0))
    return {layer.name: (float(low[at]), float(high[at])) for at, layer in enumerate(points)}


def fake_quantised(network: keras.Model, found: Ranges) -> keras.Model:
    """A copy of a folded network with its weights, that rounds weights and, in the ranges found, activations."""

    def copied(layer: Any) -> Any:
        return ROUNDED.get(type(layer), type(layer)).from_config(layer.get_config())

    def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
        values = layer(*args, **kwargs)
        if layer.name not in found:
            return values
        return EightBits(*found[layer.name], name=f"{layer.name}_8bit")(values)

    copy = keras.models.clone_model(network, clone_function=copied, call_function=called)
    copy.set_weights(network.get_weights())
    return copy


def trainee(network: keras.Model, pixels: Pixels, name: str) -> keras.Model:
    """A network of `fake_quantised` around the same variables, that `ml.training.fit` can fit: from views, uint8 (n,
    height, width, 3), to a dict of `logits`.
    """
    image = layers.Input(network.input.shape[1:], dtype="uint8", name="image")
    scaled = layers.Rescaling(pixels.step, -pixels.zero * pixels.step, name="scale")(image)
    return keras.Model(image, {"logits": network(scaled)}, name=name)


def settled(network: keras.Model) -> keras.Model:
    """A copy of a network of `fake_quantised` whose weights are rounded once and for all."""

    def copied(layer: Any) -> Any:
        return PLAIN.get(type(layer), type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=copied)
    copy.set_weights(network.get_weights())
    for layer in copy.layers:
        if isinstance(layer, CONVOLUTIONS):
            layer.kernel.assign(on_levels(layer.kernel))
    return copy
