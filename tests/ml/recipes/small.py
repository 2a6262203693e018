"""A recipe in small, what it is given, and runs that stop."""

from dataclasses import replace
from pathlib import Path

from ml.progress import JsonProgress
from ml.recipes.contact_sheet import of_test_images
from ml.recipes.given import Run
from ml.recipes.recipe import Part, Recipe
from ml.recipes.sides import ByImage
from ml.training import Settings

LESIONS_OF_A_CLASS = 40

TINY = Recipe(
    name="tiny",
    title="two convolutions",
    members=(Part("tiny", Settings(epochs=2, samples=320, mixup=0.2), size=(64, 64), imagenet=False),),
    reported={"accuracy": 0.99},
    authors_split=ByImage(test=0.2, validation=0.2),
    differs=("Nobody published this.",),
    extras=(of_test_images,),
)

QUICK = replace(
    TINY,
    members=(Part("tiny", Settings(epochs=1, samples=32), size=(32, 24), imagenet=False),),
    authors_split=None,
    extras=(),
)
"""Where nothing is asked of what it learns: too few steps to be worth a trace, and one split."""


class Stopped(JsonProgress):
    """Interrupts when a stage begins."""

    def __init__(self, at: str) -> None:
        self._at = at

    def stage(self, name: str) -> None:
        if name == self._at:
            raise KeyboardInterrupt


class OneEpoch(JsonProgress):
    """Interrupts after it."""

    def epoch(self, member: str, epoch: int, of: int, loss: float, validation_loss: float | None) -> None:
        raise KeyboardInterrupt


def run_of(recipe: Recipe, published: Path, tmp_path: Path) -> Run:
    return Run(recipe, published, tmp_path / "work", tmp_path / "made", draws=20)
