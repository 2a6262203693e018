import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openvino
import pytest

from ml.bundle import Member
from ml.imaging.preprocess import FRAME, preprocess
from ml.runtime import Runtime, convert, ensemble
from ml.runtime.ensemble import CHUNK, Ensemble, KerasNetwork, heat, native_precision
from ml.stack import softmax
from ml.synthetic import draw
from tests.ml.conftest import BF16_TOLERANCE, F32_TOLERANCE


def lesions(count: int) -> np.ndarray:
    return np.stack([preprocess(draw("MEL", seed)) for seed in range(count)])


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> list[Member]:
    """A tiny member, and one with the layers of those that ship, which looks twice."""
    from ml.networks import members, weights

    path = tmp_path_factory.mktemp("members") / "mobilenet_v2.npz"
    model = members.build("mobilenet_v2", (64, 48))
    settle(model)
    weights.save(model, path)
    return [*runtime.bundle.members, Member("mobilenet_v2", path, (64, 48), ("whole", "middle"))]


def settle(model: object) -> None:
    """Batch norm's statistics as after training, so that signals neither die out nor explode."""
    import keras

    assert isinstance(model, keras.Model)
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma * rng.uniform(0.8, 1.2, gamma.shape), beta + 0.3, mean, variance])


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory, members: list[Member]) -> Path:
    cache = tmp_path_factory.mktemp("converted")
    convert.warm(members, FRAME, cache)
    return cache


def test_a_cpu_and_a_gpu_give_the_same_answers(
    members: list[Member], networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras, which serves on a GPU, is run on this machine's CPU."""
    frames = lesions(CHUNK + 1)
    monkeypatch.setattr(ensemble, "_on_gpu", lambda members, frame: None)
    cpu = Ensemble(members, FRAME, networks, precision="f32")(frames)
    keras = [KerasNetwork(member, FRAME) for member in members]
    monkeypatch.setattr(ensemble, "_on_gpu", lambda members, frame: lambda frames: [each(frames) for each in keras])
    gpu = Ensemble(members, FRAME, networks)(frames)
    assert np.ptp(softmax(gpu.logits), axis=0).max() > 0.01  # the frames do not all look the same to it
    np.testing.assert_allclose(softmax(cpu.logits), softmax(gpu.logits), atol=F32_TOLERANCE)
    named = gpu.logits.mean(axis=1).argmax(axis=1)
    # Of nats: the largest distance of a logit is about this.
    np.testing.assert_allclose(heat(cpu.maps, named), heat(gpu.maps, named), atol=0.01)
    np.testing.assert_allclose(cpu.features, gpu.features, atol=1e-3)


def test_the_fewest_frames_keep_each_core_at_work(
    members: list[Member], networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores, fewest in (1, CHUNK), (3, 3 * CHUNK):
        monkeypatch.setattr(ensemble, "cores", lambda cores=cores: cores)
        assert Ensemble(members, FRAME, networks).fewest == fewest
    monkeypatch.setattr(ensemble, "_on_gpu", lambda members, frame: lambda frames: [])
    assert Ensemble(members, FRAME, networks).fewest is None


def test_no_number_of_frames_waits_for_a_compiler(members: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA, which Keras would choose on a GPU, compiles for each number of frames."""
    import tensorflow

    devices = [SimpleNamespace(device_type=kind) for kind in ("CPU", "GPU")]
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda *_: devices)
    function, compiled = tensorflow.function, []

    def traced(*given: object, **options: object) -> object:
        if given:  # not a decorator of a function that no layer of ours calls
            compiled.append(options.get("jit_compile"))
        return function(*given, **options)

    monkeypatch.setattr(tensorflow, "function", traced)
    assert len(KerasNetwork(members[0], FRAME)(lesions(2))[0]) == 2
    assert set(compiled) == {None}


def test_half_precision_stays_within_what_is_stated(members: list[Member], networks: Path) -> None:
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor does not compute in bfloat16")
    frames = lesions(8)
    exact = Ensemble(members, FRAME, networks, precision="f32")(frames)
    half = Ensemble(members, FRAME, networks, precision="bf16")(frames)
    difference = np.abs(softmax(exact.logits) - softmax(half.logits)).max()
    assert 0 < difference < BF16_TOLERANCE


@pytest.mark.parametrize(("half", "chosen"), [(0.5, "bf16"), (0.95, "f32"), (1.5, "f32")])
def test_half_precision_is_taken_only_where_it_is_clearly_quicker(
    monkeypatch: pytest.MonkeyPatch, half: float, chosen: str
) -> None:
    seconds = itertools.cycle([1.0, half])
    monkeypatch.setattr(ensemble, "_seconds", lambda network: next(seconds))
    assert native_precision.__wrapped__() == chosen


def test_what_a_processor_is_quicker_in_is_tried_once() -> None:
    native_precision()
    native_precision()
    assert native_precision.cache_info().misses == 1


def test_a_processor_without_half_precision_answers_in_full(
    members: list[Member], networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that another machine converted serves here, whatever that machine's processor has."""
    monkeypatch.setattr(ensemble, "native_precision", lambda: "f32")
    frames = lesions(2)
    np.testing.assert_array_equal(
        Ensemble(members, FRAME, networks)(frames).logits,
        Ensemble(members, FRAME, networks, precision="f32")(frames).logits,
    )


@pytest.mark.parametrize("count", [1, CHUNK, 2 * CHUNK + 3])
def test_any_number_of_frames_is_answered_in_order(members: list[Member], networks: Path, count: int) -> None:
    ready, frames = Ensemble(members, FRAME, networks), lesions(count)
    together = ready(frames)
    assert together.logits.shape == (count, 2, 7)
    assert heat(together.maps, np.zeros(count, int)).shape == (count, 9, 12)
    assert len(together.features) == count
    np.testing.assert_array_equal(ready(frames[-1:]).logits[0], together.logits[-1])
    np.testing.assert_array_equal(ready.in_batches(frames).logits, together.logits)


def test_no_frames_are_no_answers(members: list[Member], networks: Path) -> None:
    assert Ensemble(members, FRAME, networks).in_batches(lesions(1)[:0]).logits.shape == (0, 2, 7)
