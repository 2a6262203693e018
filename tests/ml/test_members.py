from pathlib import Path

import numpy as np
import pytest

from ml import members, weights
from ml.weights import WeightsError


@pytest.mark.parametrize("name", sorted(members.BACKBONES))
def test_the_logits_are_the_mean_of_the_maps(name: str, rng: np.random.Generator) -> None:
    """So the heatmap explains exactly the answer that it stands beside."""
    model = members.build(name, (64, 48))
    answer = model(rng.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8), training=False)
    maps, logits = np.asarray(answer["maps"]), np.asarray(answer["logits"])
    assert logits.shape == (2, 7)
    assert maps.shape[0] == 2
    assert maps.shape[3] == 7
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, rtol=1e-4, atol=1e-5)


def test_weights_survive_the_disk_in_half_the_space(tmp_path: Path, rng: np.random.Generator) -> None:
    model, copy = members.build("tiny", (64, 48)), members.build("tiny", (64, 48))
    weights.save(model, tmp_path / "tiny.npz")
    weights.load(copy, tmp_path / "tiny.npz")
    pixels = rng.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    logits = [np.asarray(each(pixels, training=False)["logits"]) for each in (model, copy)]
    np.testing.assert_allclose(logits[0], logits[1], atol=0.01)


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    weights.save(members.build("tiny", (64, 48)), tmp_path / "tiny.npz")
    with pytest.raises(WeightsError, match="does not fit mobilenet_v2"):
        weights.load(members.build("mobilenet_v2", (64, 48)), tmp_path / "tiny.npz")


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    model = members.build("tiny", (64, 48))
    model.get_layer("maps").kernel.assign(np.full((1, 1, 16, 7), 1e6, dtype=np.float32))
    with pytest.raises(WeightsError, match="cannot be stored"):
        weights.save(model, tmp_path / "tiny.npz")


def test_a_missing_backbone_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"mobilenet_v2_imagenet_notop\.weights\.h5"):
        members.load_imagenet(members.build("mobilenet_v2", (64, 48)), tmp_path)
