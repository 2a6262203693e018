"""Packages are made here from random weights, as the published ones are laid out."""

import base64
import io
import re
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from ml import backbones, members
from ml.cli import main

SHARDS = 6


def nsfwjs(path: Path, network: keras.Model) -> Path:
    """InceptionV3's arrays in 8 bits, in another order than Keras has them, as base64 in six scripts."""
    stored, told = b"", []
    for kind, name, parts in (
        (layers.BatchNormalization, "batch_normalization", ("beta", "moving_mean", "moving_variance")),
        (layers.Conv2D, "conv2d", ("kernel",)),
    ):
        made = [layer for layer in network.layers if isinstance(layer, kind)]
        made.sort(key=lambda layer: [int(digits) for digits in re.findall(r"\d+$", layer.name)])
        for place, layer in enumerate(made, start=1):
            for part, values in zip(parts, layer.get_weights(), strict=True):
                low, step = float(values.min()), max(float(np.ptp(values)) / 255, 1e-9)
                stored += np.rint((values - low) / step).astype(np.uint8).tobytes()
                shape = str(list(values.shape)).replace(" ", "")
                told.append(
                    f'{{name:"{name}_{place}/{part}",shape:{shape},dtype:"float32",'
                    f'quantization:{{min:{low},scale:{step},dtype:"uint8"}}}}'
                )
    size = len(stored) // SHARDS // 3 * 3
    cuts = [stored[size * place : None if place == SHARDS - 1 else size * (place + 1)] for place in range(SHARDS)]
    files = {
        f"group1-shard{place}of6": f'h.exports="{base64.b64encode(cut).decode()}"' for place, cut in enumerate(cuts, 1)
    }
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, text in {**files, "model": f"weights:[{','.join(told)}]"}.items():
            entry = tarfile.TarInfo(f"package/dist/models/inception_v3/{name}.min.js")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_inception_starts_from_the_numbers_of_its_package(tmp_path: Path, rng: np.random.Generator) -> None:
    published = members.BACKBONES["inception_v3"]((75, 75, 3))
    published.set_weights([rng.normal(size=value.shape).astype(np.float32) for value in published.get_weights()])
    package = nsfwjs(tmp_path / "nsfwjs.tgz", published)
    assert main(["backbone", "inception_v3", "--package", str(package), "--output", str(tmp_path / "imagenet")]) == 0
    member = members.build("inception_v3", (100, 75))
    members.load_imagenet(member, tmp_path / "imagenet")
    for expected, found in zip(published.get_weights(), member.get_layer(index=2).get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=np.ptp(expected) / 255 * 0.51 + 1e-6)


def test_lite2_computes_what_its_module_did(rng: np.random.Generator) -> None:
    """Each array lands in the layer of its name, in Keras's order of axes."""
    network = members.BACKBONES["efficientnet_lite2"]((64, 64, 3))
    network.set_weights([rng.uniform(0.1, 1, value.shape).astype(np.float32) for value in network.get_weights()])
    state: dict[str, np.ndarray] = {}
    for layer in network.layers:
        name = re.sub(r"^block(\d+)_", r"_blocks.\1._", layer.name)
        name = re.sub(r"^(stem|head)_conv$", r"_conv_\1", name)
        numbers = {"stem_bn": "_bn0", "head_bn": "_bn1", "expand_bn": "bn0", "depthwise_bn": "bn1", "project_bn": "bn2"}
        for own, number in numbers.items():
            name = re.sub(f"{own}$", number, name)
        name = name.replace("depthwise_dw", "depthwise_conv")
        if isinstance(layer, layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            state |= {f"{name}.{part}": value for part, value in zip(parts, layer.get_weights(), strict=True)}
        elif isinstance(layer, layers.DepthwiseConv2D):
            state[f"{name}.weight"] = layer.get_weights()[0].transpose(2, 3, 0, 1)
        elif isinstance(layer, layers.Conv2D):
            state[f"{name}.weight"] = layer.get_weights()[0].transpose(3, 2, 0, 1)
    for expected, found in zip(network.get_weights(), backbones.lite2_from(state).get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_another_package_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.tgz"
    with tarfile.open(other, "w:gz"):
        pass
    assert main(["backbone", "inception_v3", "--package", str(other), "--output", str(tmp_path)]) == 1
    assert "other.tgz is not the package that holds inception_v3" in " ".join(capsys.readouterr().err.split())
