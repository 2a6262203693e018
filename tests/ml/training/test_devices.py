"""Several devices learn what one learns. Each runs in a process of its own: JAX counts its devices once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ml.data.examples import Examples
from ml.networks import members
from ml.training import Batches, Settings
from ml.training.devices import all_devices

ROOT = Path(__file__).parents[3]

FIT = """
import sys
import keras, numpy as np
from ml import training
from ml.data.examples import Examples
from ml.networks import members
from ml.progress import JsonProgress
from ml.training.devices import all_devices

rng = np.random.default_rng(0)
labels = np.arange(63) % 2
pixels = (rng.integers(0, 60, (63, 48, 64, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
examples = Examples(pixels, labels, labels.astype(str), np.zeros((63, 4), np.uint64))
keras.utils.set_random_seed(0)
model = members.build("tiny", (64, 48), 2)
with all_devices(model) as devices:
    pass
settings = training.Settings(epochs=1, samples=480, learning_rate=5e-3)
training.fit(model, examples, examples, settings, JsonProgress())
answers = model.predict(pixels, batch_size=7, verbose=0)["logits"]
np.savez(sys.argv[1], *[np.asarray(weight) for weight in model.get_weights()], answers=answers)
print(devices)
"""


def fitted(out: Path, devices: int) -> tuple[int, dict[str, np.ndarray]]:
    """How many devices trained, and the weights and answers that they came to."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        # Compiling takes most of the time, and less without optimising.
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", FIT, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout.splitlines()[-1]), dict(np.load(out))


def test_two_devices_learn_what_one_learns(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda devices: fitted(tmp_path / f"{devices}.npz", devices), (1, 2)))
    assert [devices for devices, _ in runs] == [1, 2]
    one, two = (outcome for _, outcome in runs)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-4, err_msg=name)
    assert np.ptp(one["answers"]) > 1  # it did learn something to be the same about


@pytest.mark.parametrize(("samples", "batch"), [(64, 16), (101, 33), (7, 4)])
def test_devices_share_every_batch_evenly(samples: int, batch: int) -> None:
    labels = np.arange(10) % 2
    examples = Examples(np.zeros((10, 48, 64, 3), np.uint8), labels, labels.astype(str), np.zeros((10, 4), np.uint64))
    settings = Settings(epochs=1, samples=samples, batch=batch)
    batches = Batches(examples, np.eye(2, dtype=np.float32)[labels], (64, 48), settings, devices=3)
    sizes = [len(batches[index][1]) for index in range(len(batches))]
    assert all(size and size % 3 == 0 for size in sizes)
    assert samples - 3 < sum(sizes) <= samples
    assert max(sizes) <= batch


def test_tensorflow_trains_on_one_device() -> None:
    with all_devices(members.build("tiny", (64, 48), 2)) as devices:
        assert devices == 1
