"""From a member's Keras weights to an OpenVINO network on disk.

The only part of serving that needs TensorFlow, and it runs once for each weights file.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ml.imaging.preprocess import Size

RECIPE: Final = "1"
"""Changes whenever the network that is built from the same weights would."""

NETWORK: Final = "network.xml"


def network_path(member: str, weights: Path, size: Size, cache: Path) -> Path:
    """Where the cache keeps a member's network: named by its weights, so that bundles that share a member share it."""
    key = hashlib.sha256(f"{RECIPE} {member} {size[0]}x{size[1]} ".encode())
    key.update(weights.read_bytes())
    return cache / f"{member}-{key.hexdigest()[:24]}" / NETWORK


def missing(members: Mapping[str, Path], size: Size, cache: Path) -> list[str]:
    """Those of `members` (name to weights file) that are not converted yet."""
    return [member for member, file in members.items() if not network_path(member, file, size, cache).exists()]


def warm(members: Mapping[str, Path], size: Size, cache: Path) -> list[str]:
    """Converts what is missing and gives the names.

    Two processes may do so at the same time: a network appears whole or not at all.
    """
    todo = missing(members, size, cache)
    cache.mkdir(parents=True, exist_ok=True)
    for member in todo:
        target = network_path(member, members[member], size, cache).parent
        arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=cache))
        try:
            _convert(member, members[member], size, arriving / NETWORK)
            os.rename(arriving, target)
        except OSError:
            if not (target / NETWORK).exists():  # otherwise another process was first, with the same content
                raise
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    return todo


def _convert(member: str, weights_path: Path, size: Size, target: Path) -> None:
    import openvino
    import tensorflow

    from ml import members, weights

    model = members.build(member, size)
    weights.load(model, weights_path)
    width, height = size
    image = tensorflow.TensorSpec([None, height, width, 3], tensorflow.uint8, name="image")
    traced = tensorflow.function(lambda image: model(image, training=False), input_signature=[image])
    network = openvino.convert_model(traced.get_concrete_function())
    openvino.save_model(network, target, compress_to_fp16=False)
