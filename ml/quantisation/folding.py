"""A member of `ml.networks.members` as it is computed in integers: convolutions with biases, and no batch norm."""

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers

CONVOLUTIONS: Final = (layers.Conv2D, layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Pixels:
    """What a grey level g stands for: `step * (g - zero)`. Integers need a whole `zero`, so where [0, 255] becomes
    [-1, 1] everything is darker by half a grey level.
    """

    step: float
    zero: int

    def __call__(self, views: np.ndarray) -> np.ndarray:
        """Views, uint8, as float32."""
        return np.asarray((views.astype(np.float32) - self.zero) * self.step, dtype=np.float32)

    @property
    def limits(self) -> tuple[float, float]:
        """Of grey levels 0 and 255."""
        return -self.zero * self.step, (255 - self.zero) * self.step


def pixels(member: keras.Model) -> Pixels:
    """How a member of `ml.networks.members.build` scales grey levels."""
    scale = member.get_layer("scale")
    return Pixels(float(scale.scale), round(-float(scale.offset) / float(scale.scale)))


def folded(member: keras.Model) -> keras.Model:
    """A member of `ml.networks.members.build` as one flat network from scaled pixels, float32 (n, height, width, 3), to
    logits, float32 (n, classes), as it answers in inference.

    Raises ValueError for a network that does not have each batch norm behind a convolution of its own, or that has a
    hidden layer.
    """
    if "maps" not in {layer.name for layer in member.layers}:
        raise ValueError(f"{member.name} has a hidden layer, which is not known in 8 bits.")
    backbone, head = member.get_layer(index=2), member.get_layer("maps")
    convolutions = {id(layer.output): layer for layer in backbone.layers if isinstance(layer, CONVOLUTIONS)}
    norm_of: dict[str, Any] = {}
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            before = convolutions.get(id(layer.input))
            if before is None or before.activation is not keras.activations.linear:
                raise ValueError(f"{layer.name} of {member.name} does not normalise what a convolution gives.")
            norm_of[before.name] = layer

    def copied(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, "use_bias": True} if layer.name in norm_of else config)

    def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if isinstance(layer, layers.BatchNormalization) else layer(*args, **kwargs)

    image = layers.Input(backbone.input.shape[1:], name="pixels")
    body = keras.models.clone_model(backbone, input_tensors=image, clone_function=copied, call_function=called)
    maps = layers.Conv2D.from_config(head.get_config())
    network = keras.Model(image, layers.GlobalAveragePooling2D(name="logits")(maps(body.output)), name=member.name)
    for layer in backbone.layers:
        if layer.name in norm_of:
            network.get_layer(layer.name).set_weights(_merged(layer, norm_of[layer.name]))
        elif layer.weights and not isinstance(layer, layers.BatchNormalization):
            network.get_layer(layer.name).set_weights(layer.get_weights())
    maps.set_weights(head.get_weights())
    return network


def _merged(convolution: Any, norm: Any) -> list[np.ndarray]:
    """The kernel and bias that do what a convolution and the batch norm behind it do."""
    kernel, *own = convolution.get_weights()
    *affine, mean, variance = norm.get_weights()
    gamma = affine.pop(0) if norm.scale else 1.0
    beta = affine.pop(0) if norm.center else 0.0
    gain = gamma / np.sqrt(variance + norm.epsilon)
    along = (-1, 1) if isinstance(convolution, layers.DepthwiseConv2D) else (-1,)
    return [kernel * gain.reshape(along), beta + ((own[0] if own else 0.0) - mean) * gain]
