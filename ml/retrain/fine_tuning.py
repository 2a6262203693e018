"""How a member of a bundle learns further: in the manner in which it was first fitted, but gently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml import bundle as bundles
from ml import recipes
from ml.bundle import Bundle, Member
from ml.data.examples import Examples
from ml.progress import Progress

if TYPE_CHECKING:
    from ml.training import Settings

LEARNING_RATE: Final = 1e-4
"""A fifth of the first training's: what is known should be bent, not replaced."""

OF_THE_RECIPE: Final = ("loss", "label_smoothing", "sampling", "augmentation")
"""What is taken of the settings with which the bundle's recipe fits the member. Mixup is not: after a few epochs of
few images probabilities were worse with it (ml/README.md).
"""


def settings(active: Bundle, name: str, epochs: int, seed: int) -> Settings:
    """Those of a member of the bundle; where the code does not have the recipe that made it, `Settings`' own."""
    from ml.training import Settings

    gentle = Settings(epochs=epochs, learning_rate=LEARNING_RATE, freeze_batch_norm=True, seed=seed)
    made_by = active.manifest.get("recipe")
    parts = {part.name: part for part in recipes.named(made_by).members} if made_by in recipes.NAMES else {}
    if name not in parts:
        return gentle
    return replace(gentle, **{each: getattr(parts[name].settings, each) for each in OF_THE_RECIPE})


def fit(
    member: Member, how: Settings, train: Examples, validation: Examples, *, folder: Path, progress: Progress
) -> None:
    """Writes the member's weights, fitted further, into a folder."""
    from ml import training
    from ml.networks import members, weights

    model = members.build(member.name, member.size)
    weights.load(model, member.weights)
    training.fit(model, train, validation, how, progress)
    weights.save(model, folder / member.weights.name)


def told(name: str, how: Settings) -> str:
    """A sentence for the card."""
    return (
        f"{name}: {how.loss.replace('_', ' ')}, {how.sampling} sampling, {how.augmentation} augmentation, "
        f"learning rate {how.learning_rate:g}, batch norm frozen."
    )


def not_made_again(active: Bundle) -> list[str]:
    """A sentence on what else lies in the bundle's folder, such as a network in 8 bits: it is of the networks before,
    and no candidate has it.
    """
    own = {bundles.MANIFEST, bundles.CARD, bundles.NOVELTY, bundles.SEEN, bundles.TRAINED}
    own |= {member.weights.name for member in active.members}
    files = (path.name for path in active.path.iterdir() if path.is_file() and not path.name.startswith("."))
    others = sorted({*files} - own)
    return [f"Not made again of {active.name}, and not in this bundle: {', '.join(others)}."] if others else []
