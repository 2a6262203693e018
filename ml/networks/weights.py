"""A member's weights as one compact file: kernels in float16, biases and batch-norm vectors in float32."""

from pathlib import Path

import keras
import numpy as np

from ml.files import complete


class WeightsError(Exception):
    """Weights that do not belong to the network; the message says where they differ."""


def save(model: keras.Model, path: Path) -> None:
    """Writes every variable, in the model's order, to an uncompressed `.npz`. Raises WeightsError for a value that
    float16 cannot hold.
    """
    arrays: dict[str, np.ndarray] = {}
    for index, value in enumerate(model.get_weights()):
        with np.errstate(over="ignore"):  # told below
            stored = value.astype(np.float16) if value.ndim > 1 else value.astype(np.float32)
        if not np.isfinite(stored).all():
            raise WeightsError(f"{model.weights[index].path} of {model.name} holds values that cannot be stored.")
        arrays[f"{index:04d}"] = stored
    with complete(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load(model: keras.Model, path: Path) -> None:
    """Puts the file's values into a model of the same architecture. Raises WeightsError where number or shapes
    differ.
    """
    with np.load(path) as stored:
        values = [stored[name].astype(np.float32) for name in sorted(stored.files)]
    expected = [tuple(variable.shape) for variable in model.weights]
    if [value.shape for value in values] != expected:
        raise WeightsError(
            f"{path.name} does not fit {model.name}: it holds {len(values)} arrays, and the network has "
            f"{len(expected)} variables, or of other shapes."
        )
    model.set_weights(values)
