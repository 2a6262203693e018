"""A member learns further in the manner in which its recipe fits it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml import bundle, recipes
from ml.bundle import Bundle
from ml.retrain import fine_tuning
from ml.training import Settings


def made_by(tiny_bundle: Path, recipe: str) -> Bundle:
    loaded = bundle.load(tiny_bundle)
    return Bundle(loaded.path, {**loaded.manifest, "recipe": recipe})


@pytest.mark.parametrize(
    ("recipe", "member", "own"),
    [
        ("mobilenetv2-edge", "mobilenet_v2", {"loss": "focal", "sampling": "balanced", "label_smoothing": 0.0}),
        ("ham-cnn", "plain", {"sampling": "balanced", "augmentation": "geometric", "label_smoothing": 0.0}),
        ("release", "mobilenet", {}),
        ("release", "tiny", {}),
        ("another project's", "mobilenet_v2", {}),
    ],
)
def test_it_is_gentle_and_else_as_the_recipe_says(
    tiny_bundle: Path, recipe: str, member: str, own: dict[str, Any]
) -> None:
    gentle = Settings(epochs=3, learning_rate=1e-4, freeze_batch_norm=True, seed=5)
    assert fine_tuning.settings(made_by(tiny_bundle, recipe), member, 3, 5) == replace(gentle, **own)


def test_the_release_that_ships_learns_on_without_mixup() -> None:
    """With which it was trained: probabilities were worse after a short training with it."""
    shipped = bundle.load(bundle.shipped())
    gentle = Settings(epochs=3, learning_rate=1e-4, freeze_batch_norm=True)
    for member in shipped.members:
        assert fine_tuning.settings(shipped, member.name, 3, 0) == gentle


def test_a_bundle_that_tells_no_recipe_learns_on_as_it_did(tiny_bundle: Path) -> None:
    gentle = Settings(epochs=1, learning_rate=1e-4, freeze_batch_norm=True)
    assert "recipe" not in bundle.load(tiny_bundle).manifest
    assert fine_tuning.settings(bundle.load(tiny_bundle), "tiny", 1, 0) == gentle


@pytest.mark.parametrize("recipe", recipes.NAMES)
def test_it_is_told_in_words(tiny_bundle: Path, recipe: str) -> None:
    for part in recipes.named(recipe).members:
        how = fine_tuning.settings(made_by(tiny_bundle, recipe), part.name, 1, 0)
        told = fine_tuning.told(part.name, how)
        assert told.startswith(f"{part.name}: {how.loss.replace('_', ' ')}, {how.sampling} sampling")
