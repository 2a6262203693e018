"""A recipe trains on the other backends of Keras too, where they are installed."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ml import bundle, convert

ROOT = Path(__file__).parents[3]

EPOCH = """
import keras, numpy as np
from dataclasses import replace
from pathlib import Path
from ml import members, recipes, training, weights
from ml.data.examples import Examples
from ml.progress import JsonProgress

rng = np.random.default_rng(0)
labels = np.arange(64) % 2
pixels = (rng.integers(0, 60, (64, 48, 64, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
examples = Examples(pixels, labels, labels.astype(str), np.zeros((64, 4), np.uint64))
for name in ("release", "ham-cnn"):
    settings = replace(recipes.named(name).members[0].settings, epochs=2, samples=512, learning_rate=5e-3)
    model = members.build("tiny", (64, 48), 2)
    work = Path("work") / name
    training.fit(model, examples, examples, settings, JsonProgress(), work=work)
    assert training.history(work)[-1]["val_accuracy"] == 1, training.history(work)
    weights.save(model, work.with_suffix(".npz"))
print(keras.backend.backend())
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_settings_of_the_recipes_learn_on_another_backend(backend: str, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: training on it was NOT checked")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # JAX compiles for longer than it learns
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", EPOCH]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert finished.stdout.splitlines()[-1] == backend


def test_networks_are_converted_by_tensorflow_whatever_the_training_runs_on(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    loaded = bundle.load(tiny_bundle)
    assert convert.warm(loaded.members, loaded.frame, tmp_path) == loaded.members
    assert convert.missing(loaded.members, loaded.frame, tmp_path) == []
    assert os.environ["KERAS_BACKEND"] == "torch"
