"""A tiny network on the whole way to 8 bits: float, folded, trained with rounding, `.tflite`, the same answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from ml.classes import CLASSES
from ml.export.errors import ExportError
from ml.networks import members
from ml.networks.members import Architecture
from ml.quantisation import fake, folding, tflite
from ml.recipes import eight_bits
from ml.synthetic import draw
from tests.ml.inverted import backbone

SIZE = (32, 24)


@pytest.fixture(autouse=True)
def inverted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(members.BACKBONES, "inverted", backbone)
    monkeypatch.setitem(members.ARCHITECTURES, "inverted", Architecture("inverted"))


@pytest.fixture
def member(inverted: None, rng: np.random.Generator) -> keras.Model:
    """With weights and statistics that are nobody's defaults."""
    keras.utils.set_random_seed(1)
    model = members.build("inverted", SIZE)
    for variable in model.get_layer(index=2).weights:
        if variable.name in {"gamma", "moving_variance"}:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif variable.name in {"beta", "moving_mean", "bias"}:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture
def views() -> np.ndarray:
    return np.stack([np.asarray(draw(CLASSES[seed % 7], seed, SIZE)) for seed in range(42)])


def logits(model: Any, given: np.ndarray) -> np.ndarray:
    answer = model(given, training=False)
    return np.asarray(answer["logits"] if isinstance(answer, dict) else answer)


def test_a_folded_network_answers_as_the_member(member: keras.Model, views: np.ndarray) -> None:
    network = folding.folded(member)
    assert not [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    np.testing.assert_allclose(logits(network, views / np.float32(127.5) - 1), logits(member, views), atol=1e-4)


def test_a_network_that_cannot_be_folded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="does not normalise what a convolution gives"):
        folding.folded(members.build("tiny", SIZE))
    monkeypatch.setitem(members.ARCHITECTURES, "inverted", Architecture("inverted", hidden=4))
    with pytest.raises(ValueError, match="hidden layer"):
        folding.folded(members.build("inverted", SIZE))


@pytest.mark.parametrize("unit_range", [False, True])
def test_grey_levels_keep_their_numbers(unit_range: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(members.ARCHITECTURES, "inverted", Architecture("inverted", unit_range=unit_range))
    pixels = folding.pixels(members.build("inverted", SIZE))
    levels = np.arange(256, dtype=np.uint8)
    low, high = pixels.limits
    np.testing.assert_allclose(pixels(levels), np.linspace(low, high, 256), atol=1e-6)
    np.testing.assert_allclose(pixels(levels), levels / 255 if unit_range else levels / 127.5 - 1, atol=0.0040)
    assert 0 in pixels(levels)


def test_weights_lie_on_levels_of_their_own_channel(rng: np.random.Generator) -> None:
    kernel = (rng.normal(0, 1, (3, 3, 4, 8)) * 10.0 ** np.arange(-4, 4)).astype(np.float32)
    levels = np.asarray(fake.on_levels(kernel)) / (np.abs(kernel).max(axis=(0, 1, 2)) / 127)
    np.testing.assert_allclose(levels, levels.round(), atol=1e-3)
    assert np.abs(levels).max(axis=(0, 1, 2)) == pytest.approx(127)
    assert (np.ptp(levels, axis=(0, 1, 2)) > 150).all()


def test_rounding_lets_gradients_pass(member: keras.Model, views: np.ndarray) -> None:
    """A training step lowers the loss, and moves weights by less than a level."""
    network = folding.folded(member)
    pixels = folding.pixels(member)
    rounding = fake.fake_quantised(network, fake.ranges(network, pixels(views)))
    trainee = keras.Model((whole := fake.trainee(rounding, pixels, "small")).input, whole.output["logits"])
    trainee.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    truth = np.arange(len(views)) % 7
    before = trainee.evaluate(views, truth, verbose=0)
    trainee.fit(views, truth, epochs=8, batch_size=14, verbose=0)
    assert trainee.evaluate(views, truth, verbose=0) < before - 0.01


@pytest.mark.parametrize("make", [lambda network, _: network, fake.fake_quantised], ids=["rounded", "trained"])
def test_the_file_answers_as_the_network(
    make: Callable[..., keras.Model], member: keras.Model, views: np.ndarray, tmp_path: Path
) -> None:
    network, pixels, file = folding.folded(member), folding.pixels(member), tmp_path / "small.tflite"
    ranges = fake.ranges(network, pixels(views))
    made = make(network, ranges)
    whole = made is network
    tflite.write(made if whole else fake.settled(made), pixels, file, views if whole else None)
    wanted, said = logits(made, pixels(views)), tflite.answers(file, views)
    step = (ranges["logits"][1] - ranges["logits"][0]) / 255
    # One level of the answer for what is rounded as in training; the other was never told how it would be rounded.
    assert np.abs(said - wanted).max() <= (12 if whole else 1.01) * step
    assert np.ptp(wanted, axis=0).max() > 30 * step
    if not whole:
        agrees = eight_bits.agreement(file, fake.settled(made), pixels, views)
        assert agrees["level"] == pytest.approx(step, abs=1e-4)
        assert agrees["mean"] == pytest.approx(np.abs(said - wanted).mean(), abs=0.01 * step)
        assert agrees["largest"] == pytest.approx(np.abs(said - wanted).max(), abs=0.01 * step)
    assert tflite.milliseconds(tflite.opened(file), views) > 0


@pytest.mark.parametrize(("place", "by"), [(0, 1.1), (3, 1.1), (None, 0.5)])
def test_a_broken_file_is_told(
    place: int | None, by: float, member: keras.Model, views: np.ndarray, tmp_path: Path
) -> None:
    """The weights of one of its convolutions are a tenth too large, or the range of its answer is half as wide."""
    network, pixels, file = folding.folded(member), folding.pixels(member), tmp_path / "small.tflite"
    rounding = fake.fake_quantised(network, fake.ranges(network, pixels(views)))
    sound, broken = fake.settled(rounding), fake.settled(rounding)
    if place is None:
        answer = broken.get_layer("logits_8bit")
        answer.low, answer.high = answer.low * by, answer.high * by
    else:
        kernel = [layer for layer in broken.layers if isinstance(layer, folding.CONVOLUTIONS)][place].kernel
        kernel.assign(kernel * by)
    tflite.write(broken, pixels, file)
    with pytest.raises(ExportError, match=r"small\.tflite .* not written as it should be"):
        eight_bits.agreement(file, sound, pixels, views)
