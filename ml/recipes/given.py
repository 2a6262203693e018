"""What a training is given, and what it reads of that before it starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

import ml.data
from ml import bundle as bundles
from ml.bundle import Bundle
from ml.data import left_out
from ml.data.errors import DataError
from ml.data.table import Dataset
from ml.imaging.fingerprint import WORDS
from ml.metrics import DRAWS
from ml.preparation import Preparation
from ml.progress import Progress
from ml.recipes import distillation, sides
from ml.recipes.recipe import Recipe, Teach

NO_IMAGES: Final = np.zeros((0, WORDS), dtype=np.uint64)


@dataclass(frozen=True)
class Run:
    """What a training is given.

    `recipe`, reduced where the machine asks for it; `data`, a folder that `ml.data.read` knows; `work` keeps what an
    interrupted run goes on from; the bundle goes to `output`, which is made. `backbones` holds the ImageNet weights;
    `teacher` is a bundle whose answers become soft labels; `start` is a bundle whose members go on learning;
    `as_authors` False leaves out the authors' split. `draws` are those of every bootstrap.
    """

    recipe: Recipe
    data: Path
    work: Path
    output: Path
    backbones: Path | None = None
    teacher: Path | None = None
    start: Path | None = None
    as_authors: bool = True
    draws: int = DRAWS


@dataclass(frozen=True)
class Given:
    """What a run starts from, read: the data in the taxonomy of the answers, the side of each image id in the split by
    lesion, what is done to frames, the bundle to start from, the bundle that teaches, what gives soft labels, and the
    fingerprints of what the segmenter has seen that blanks the skin, uint64 (n, 4).
    """

    dataset: Dataset
    by_lesion: pd.Series
    preparation: Preparation
    start: Bundle | None
    teacher: Bundle | None
    teach: Teach | None
    outlined: np.ndarray

    @property
    def before(self) -> list[Bundle]:
        """The bundles that members learn from: to start from, and to be taught by."""
        return [bundle for bundle in (self.start, self.teacher) if bundle]

    @property
    def known(self) -> np.ndarray:
        """Fingerprints of what the bundles of `before` have seen: uint64 (n, 4)."""
        return np.concatenate([NO_IMAGES, *(bundle.seen for bundle in self.before)])

    @property
    def seen(self) -> np.ndarray:
        """Fingerprints of what any of these has seen: uint64 (n, 4)."""
        return np.concatenate([self.outlined, self.known])

    @property
    def learnt(self) -> np.ndarray:
        """Fingerprints of what the members of `before` learnt from, of those that keep them apart: uint64 (n, 4)."""
        return np.concatenate([NO_IMAGES, *(bundle.trained for bundle in self.before if bundle.tells_trained)])


def read(run: Run, progress: Progress) -> Given:
    """Reads what the run names, and warns of what is wrong with the table. Raises DataError for data that cannot be
    used, and `output_holds_the_bundle` where a bundle that is learnt from would be written over; BundleError for a
    teacher or start that is none, FileNotFoundError for a missing segmenter.
    """
    published = ml.data.read(run.data)
    if published.problems:
        progress.warning(f"{run.data}: {left_out.counts(published.problems)}", problems=published.problems)
    if misnamed := left_out.misnamed(published):
        progress.warning(misnamed, unknown_classes=published.unknown)
    # Divided before it is relabelled, so that every recipe has the test side that the project has.
    by_lesion = sides.by_lesion(published.table).set_axis(published.table["image_id"])
    segmenter, outlined = _segmenter() if run.recipe.mask else ("", NO_IMAGES)
    start = bundles.load(run.start, to_start_from=True) if run.start else None
    teacher = bundles.load(run.teacher) if run.teacher else None
    for before in (start, teacher):
        if before and before.path.resolve() == run.output.resolve():
            raise DataError("output_holds_the_bundle", f"{run.output} is learnt from: say another --output.")
    dataset = sides.relabelled(published, run.recipe.taxonomy or published.taxonomy)
    if run.recipe.benign_per_malignant:
        dataset = sides.thinned(dataset, run.recipe.benign_per_malignant)
    return Given(
        dataset=dataset,
        by_lesion=by_lesion,
        preparation=Preparation(run.recipe.remove_hair, segmenter),
        start=start,
        teacher=teacher,
        teach=distillation.by_bundle(teacher, dataset) if teacher else run.recipe.teach,
        outlined=outlined,
    )


def _segmenter() -> tuple[str, np.ndarray]:
    """The name of the one that ships, and the fingerprints of what it has seen."""
    from ml.segmentation.segmenter import Segmenter, shipped

    folder = shipped()
    return folder.name, Segmenter(folder).seen
