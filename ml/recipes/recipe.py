"""What a recipe is: everything that the one trainer must know to train, measure and describe a bundle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from ml.bundle import Bundle, Member
from ml.calibration import Calibration
from ml.classes import Taxonomy
from ml.data.examples import Examples
from ml.data.images import ImageStore
from ml.imaging.preprocess import Size
from ml.metrics import Scored
from ml.progress import Progress
from ml.recipes.sides import ByImage, Sides
from ml.training import Settings

WIDE: Final[Size] = (192, 144)
"""The frame's own shape, so that no lesion is squeezed."""

OWN_FRAMES: Final = (
    "The black around a round field is completed and a dim picture is brightened, as in every bundle of this project."
)
"""For `differs`: no author does so."""

FIGURES: Final = "figures"
"""The folder for plots in a bundle; a bundle's hash leaves folders out."""


@dataclass(frozen=True)
class Part:
    """One member: an architecture of `ml.networks.members`, how it is fitted, the (width, height) that it sees, the
    views of a frame that it averages over when it serves, and whether it starts from ImageNet or from random weights.
    One that is `kept` stays that of the bundle to start from.
    """

    name: str
    settings: Settings
    size: Size = WIDE
    views: tuple[str, ...] = ("whole",)
    imagenet: bool = True
    kept: bool = False


@dataclass(frozen=True)
class Lesson:
    """What the members of a recipe and their teacher are fitted with: the recipe, the sides of a split, the taxonomy of
    the labels, and a folder of its own for what an interrupted run goes on from; the folder with ImageNet weights, and
    the bundle that members start from, where there are any.
    """

    recipe: "Recipe"
    sides: Sides
    taxonomy: Taxonomy
    work: Path
    backbones: Path | None
    start: Bundle | None
    progress: Progress


@dataclass(frozen=True)
class Made:
    """A bundle that is all but written: its recipe; its folder, where the members' weights lie; `work`, which keeps
    what an interrupted run goes on from, with the teacher's in `work/teacher`; the sides of the split by lesion; the
    test images that it has not seen, and the calibrated answers of its networks to all of them; the images themselves,
    as nobody has prepared them; the number of draws of a bootstrap.
    """

    recipe: "Recipe"
    folder: Path
    work: Path
    members: Sequence[Member]
    calibration: Calibration
    taxonomy: Taxonomy
    sides: Sides
    scored: Scored
    test: Examples
    images: ImageStore
    draws: int
    progress: Progress


Teach = Callable[[Lesson], np.ndarray]
"""Gives soft labels for the train side, float (n, classes), that sum to one."""

Extra = Callable[[Made], Sequence[str]]
"""Adds files to a bundle's folder and gives sentences about them for its card."""


@dataclass(frozen=True)
class Recipe:
    """`reported` are the authors' figures by the names of `ml.recipes.measures.MEASURES`, as shares of one;
    `authors_split` is how they divided the data, None where there is nobody to compare with. `taxonomy` None takes
    that of the data. `remove_hair` and `mask` prepare each frame, the second with the segmenter that ships;
    `sharp_copies` trains on the data set's sharper copies too. `differs` are sentences on what is done otherwise than
    the authors did. `benign_per_malignant` leaves benign images out by chance where there are more for each malignant
    one. `teach` makes soft labels, and `extras` add to the finished bundle; `needs` is called before anything is read,
    and raises for what these would miss in the end.
    """

    name: str
    title: str
    members: tuple[Part, ...]
    reported: Mapping[str, float] = field(default_factory=dict)
    authors_split: ByImage | None = None
    taxonomy: Taxonomy | None = None
    remove_hair: bool = False
    mask: bool = False
    sharp_copies: bool = False
    benign_per_malignant: int | None = None
    differs: tuple[str, ...] = ()
    teach: Teach | None = None
    extras: tuple[Extra, ...] = ()
    needs: Callable[[], None] | None = None

    def reduced(
        self,
        members: Sequence[str] = (),
        epochs: int | None = None,
        samples: int | None = None,
        seed: int = 0,
        keep: Sequence[str] = (),
    ) -> "Recipe":
        """With some of its members, or another number of epochs or of images in an epoch, for a smaller machine; member
        i is fitted with the seed `seed + i`, those of `keep` stay as they were. Raises KeyError for a member that it
        does not have.
        """
        known = {part.name: part for part in self.members}
        parts = [known[name] for name in members or known]

        def fewer(settings: Settings, own: int) -> Settings:
            return replace(settings, epochs=epochs or settings.epochs, samples=samples or settings.samples, seed=own)

        fitted = [
            replace(part, settings=fewer(part.settings, seed + index), kept=part.name in keep)
            for index, part in enumerate(parts)
        ]
        return replace(self, members=tuple(fitted))
