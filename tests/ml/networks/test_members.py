from pathlib import Path

import cv2
import numpy as np
import pytest

from ml.imaging.preprocess import whole
from ml.networks import members, weights
from ml.networks.weights import WeightsError

LINEAR = sorted(name for name, architecture in members.ARCHITECTURES.items() if not architecture.hidden)
LARGE = {"densenet169", "nasnet_mobile"}


@pytest.mark.parametrize("name", [name for name in LINEAR if name not in LARGE])
def test_the_logits_are_the_mean_of_the_maps(name: str, rng: np.random.Generator) -> None:
    """So the heatmap explains exactly the answer that it stands beside."""
    model = members.build(name, (64, 48))
    answer = model(rng.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8), training=False)
    maps, logits = np.asarray(answer["maps"]), np.asarray(answer["logits"])
    assert logits.shape == (2, 7)
    assert maps.shape[0] == 2
    assert maps.shape[3] == 7
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, rtol=1e-4, atol=1e-5)


def test_a_hidden_layer_answers_a_place_as_if_the_whole_image_looked_like_it() -> None:
    model = members.build("mobilenet_v2_dense64", (32, 32), classes=2)
    answer = model(np.full((1, 32, 32, 3), 99, dtype=np.uint8), training=False)
    maps, logits = np.asarray(answer["maps"]), np.asarray(answer["logits"])
    assert maps.shape == (1, 1, 1, 2)
    assert logits.any()
    np.testing.assert_allclose(maps[:, 0, 0], logits, rtol=1e-4, atol=1e-6)


def test_the_plain_network_sees_pixels_from_0_to_1(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    scaled = members.build("plain", (32, 32)).get_layer("scale")(pixels)
    np.testing.assert_allclose(scaled, pixels / 255, atol=1e-6)


def test_lite2_is_deeper_and_wider_than_lite0() -> None:
    """As published: 4.652 and 6.092 million parameters, 1.281 million of them in the layer for 1,000 classes."""
    for name, published in (("efficientnet_lite0", 4.652), ("efficientnet_lite2", 6.092)):
        network = members.BACKBONES[name]((64, 64, 3))
        count = sum(np.prod(variable.shape) for variable in network.trainable_variables)
        assert count / 1e6 == pytest.approx(published - 1.281, abs=0.001)


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
        members.imagenet_file("mobilenet_v2", tmp_path)


def test_serving_averages_the_views_of_a_frame(rng: np.random.Generator) -> None:
    """What serves is the trained network on each view by itself, made with the same resize as in training."""
    frames = cv2.GaussianBlur(rng.integers(0, 256, (192, 256, 3), dtype=np.uint8), (0, 0), 3)[None]
    model = members.build("tiny", (192, 144))
    served = members.serving(model, (256, 192), ("whole", "middle"))(frames, training=False)
    middle = frames[0, 24:168, 32:224]
    alone = model(np.stack([whole(frames, (192, 144))[0], middle]), training=False)
    np.testing.assert_allclose(np.asarray(served["logits"])[0], np.mean(alone["logits"], axis=0), atol=0.01)
    np.testing.assert_allclose(np.asarray(served["maps"])[0], np.asarray(alone["maps"])[0], atol=0.05)
    np.testing.assert_allclose(np.asarray(served["features"])[0], np.asarray(alone["features"])[0], atol=0.05)
