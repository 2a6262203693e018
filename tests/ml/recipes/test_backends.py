"""A recipe trains on the other backends of Keras too, where they are installed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import pytest

from ml import bundle
from ml.cli import main
from ml.recipes import NAMES
from ml.runtime import convert

ROOT = Path(__file__).parents[3]

EPOCHS = """
import json
import keras, numpy as np, pandas as pd
from dataclasses import replace
from pathlib import Path
from ml import recipes, training
from ml.networks import members, weights
from ml.classes import BINARY
from ml.data.examples import Examples
from ml.progress import JsonProgress
from ml.recipes import distillation
from ml.recipes.recipe import Lesson
from ml.recipes.sides import Sides
from ml.recipes.tbp.teacher import Teacher
from ml.stack import softmax
from tests.ml.recipes.small import OneEpoch

rng = np.random.default_rng(0)
labels = np.arange(64) % 2
pixels = (rng.integers(0, 60, (64, 48, 64, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
rows = pd.DataFrame({"age": 40.0 + 30 * labels, "sex": "male", "site": "", "size_mm": np.nan})
examples = Examples(pixels, labels, labels.astype(str), np.zeros((64, 4), np.uint64), rows=rows)


def small(part):
    # with its own head, scale and settings, on a tiny backbone and for less time
    name = f"{part.name}_tiny"
    members.ARCHITECTURES[name] = replace(members.ARCHITECTURES[part.name], backbone="tiny")
    settings = replace(part.settings, epochs=2, samples=512, learning_rate=5e-3)
    return replace(part, name=name, settings=settings, size=(64, 48), imagenet=False)


def fitted(part, work, soft_labels=None):
    # whether it learnt what there is to learn, though it was interrupted after its first epoch
    for progress in (OneEpoch(), JsonProgress()):
        model = members.build(part.name, part.size, 2)
        try:
            training.fit(model, examples, examples, part.settings, progress, work=work, soft_labels=soft_labels)
        except KeyboardInterrupt:
            assert isinstance(progress, OneEpoch)
    epochs = training.history(work)
    assert [epoch["epoch"] for epoch in epochs] == [1, 2], epochs
    weights.save(model, work.with_suffix(".npz"))
    return epochs[-1]["val_accuracy"] == 1


tried, learnt = [], {}
for recipe in map(recipes.named, recipes.NAMES):
    for part in map(small, recipe.members):
        alike = (members.ARCHITECTURES[part.name], part.settings)
        if alike not in tried:
            tried.append(alike)
            learnt[f"{recipe.name} {part.name}"] = fitted(part, Path("work") / recipe.name / part.name)
student = small(recipes.named("tbp-distill").members[0])
recipe = replace(recipes.named("tbp-distill"), members=(student,))
lesson = Lesson(recipe, Sides(examples, examples, examples), BINARY, Path("work"), None, None, JsonProgress())
soft_labels = distillation.mixed(softmax(Teacher(lesson).logits(examples)), labels)
learnt["a student"] = fitted(student, Path("work") / "student", soft_labels)
print(json.dumps([keras.backend.backend(), learnt]))
"""


@pytest.mark.timeout(900)  # JAX compiles for a minute, and much longer beside other work
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_recipe_learns_and_goes_on_on_another_backend(backend: str, tmp_path: Path) -> None:
    """With its own loss, sampling, augmentation, head and scale; the teacher of one is told metadata."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: training on it was NOT checked")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        # JAX compiles for longer than it learns: with little care, and what goes on again not a second time.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", EPOCHS]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert finished.returncode == 0, finished.stderr[-3000:]
    ran_on, learnt = json.loads(finished.stdout.splitlines()[-1])
    assert ran_on == backend
    assert {name.split()[0] for name in learnt} >= {*NAMES}
    assert all(learnt.values()), learnt


def test_a_recipe_that_ends_in_eight_bits_says_at_once_that_it_needs_tensorflow(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    output = tmp_path / "made"
    command = ["train", "mobilenetv2-edge", "--data", str(published), "--output", str(output)]
    assert main([*command, "--work", str(tmp_path / "work")]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "Keras runs on jax: run it with KERAS_BACKEND=tensorflow" in told
    assert "reading" not in told
    assert not output.exists()


def test_networks_are_converted_by_tensorflow_whatever_the_training_runs_on(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    loaded = bundle.load(tiny_bundle)
    assert convert.warm(loaded.members, loaded.frame, tmp_path) == loaded.members
    assert convert.missing(loaded.members, loaded.frame, tmp_path) == []
    assert os.environ["KERAS_BACKEND"] == "torch"
