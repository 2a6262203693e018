"""The sides of a split, with pixels: as a recipe's authors divided the images, and so that no lesion is on two."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from ml.classes import BINARY, Taxonomy
from ml.data import examples as data
from ml.data import splits
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.data.images import ImageStore
from ml.data.table import SPLITS, Dataset
from ml.imaging.fingerprint import matches
from ml.imaging.preprocess import FRAME
from ml.preparation import NOTHING, Preparation
from ml.prepare import prepared
from ml.progress import Progress


@dataclass(frozen=True)
class ByImage:
    """A split by image, each class divided by the same shares; the rest is train. Images of one lesion come to stand on
    two sides.
    """

    test: float
    validation: float


PREPARED_AT_ONCE: Final = 256
"""Frames, a multiple of the segmenter's batch."""

LEARNT: Final = "learnt"
"""Stands for the side of images that would be of validation, but members have learnt from them: it is none."""


@dataclass(frozen=True)
class Sides:
    """Frames of the three sides, as the recipe prepares them, and the number of LEARNT images."""

    train: Examples
    validation: Examples
    test: Examples
    learnt: int = 0

    @property
    def fingerprints(self) -> np.ndarray:
        """Of what a model of these sides learns from or is calibrated on: uint64 (n, 4)."""
        return np.concatenate([self.train.fingerprints, self.validation.fingerprints])

    @property
    def leaked(self) -> np.ndarray:
        """Which test images show a lesion that a model of these sides has seen another image of: bool (n,)."""
        return np.isin(self.test.lesions, np.concatenate([self.train.lesions, self.validation.lesions]))


def relabelled(dataset: Dataset, wanted: Taxonomy) -> Dataset:
    """The data set in another taxonomy: that of the data itself, or BINARY, by which classes count as malignant.

    Raises DataError `wrong_classes` for any other.
    """
    if wanted == dataset.taxonomy:
        return dataset
    if wanted != BINARY:
        told = ", ".join(dataset.taxonomy.codes)
        raise DataError("wrong_classes", f"The recipe tells {', '.join(wanted.codes)} apart, and the data have {told}.")
    sick = dataset.table["dx"].isin(dataset.taxonomy.malignant)
    return replace(dataset, table=dataset.table.assign(dx=np.where(sick, "MALIGNANT", "BENIGN")), taxonomy=BINARY)


def thinned(dataset: Dataset, most: int) -> Dataset:
    """The data set without the benign images, drawn by chance, that exceed `most` for each malignant one; `problems`
    counts them as `benign_left_out`. All sides keep the same share, so ranks are measured as on all of them.
    """
    benign = np.flatnonzero(~dataset.table["dx"].isin(dataset.taxonomy.malignant))
    surplus = len(benign) - most * (len(dataset.table) - len(benign))
    if surplus <= 0:
        return dataset
    left_out = np.random.default_rng(0).choice(benign, surplus, replace=False)
    table = dataset.table.drop(index=dataset.table.index[left_out]).reset_index(drop=True)
    return replace(dataset, table=table, problems={**dataset.problems, "benign_left_out": surplus})


def by_image(table: pd.DataFrame, shares: ByImage) -> pd.Series:
    """The side of each row, stratified by `dx`, in an order drawn by chance, always the same."""
    place = pd.Series(np.random.default_rng(0).random(len(table)), index=table.index)
    rank = place.groupby(table["dx"]).rank(pct=True)
    side = np.select([rank <= shares.test, rank <= shares.test + shares.validation], ["test", "validation"], "train")
    return pd.Series(side, index=table.index)


def by_lesion(table: pd.DataFrame) -> pd.Series:
    """The side of each row as the whole project divides the data, by lesion and patient."""
    return splits.assign(table)["split"]


def without_learnt(side: pd.Series, examples: Examples, learnt: np.ndarray) -> pd.Series:
    """The side of each image id, where validation images become LEARNT that match an image for training, or `learnt`,
    the fingerprints uint64 (m, 4) of what members learnt from before: a threshold that is set on images which they
    remember lies too high.
    """
    ids = examples.rows["image_id"].to_numpy()
    place = side[ids].to_numpy()
    trained = np.concatenate([examples.fingerprints[place == "train"], learnt])
    held_out = place == "validation"
    known = ids[held_out][matches(examples.fingerprints[held_out], trained)]
    return side.mask(side.index.isin(known), LEARNT)


def load(
    dataset: Dataset, preparation: Preparation, progress: Progress, *, details: ImageStore | None = None
) -> Examples:
    """Every image of the data set, as the recipe prepares it, with the sharper copies of `details` in some of them."""
    with progress.steps("reading", len(dataset.table)) as advance:
        read = data.load(dataset.table, dataset.images, FRAME, advance, taxonomy=dataset.taxonomy, details=details)
    if preparation != NOTHING:
        with progress.steps("preparing frames", len(read)) as advance:
            for start in range(0, len(read), PREPARED_AT_ONCE):
                some = read.pixels[start : start + PREPARED_AT_ONCE]
                some[:] = prepared(some, preparation)
                advance(len(some))
    return read


def divide(examples: Examples, side: pd.Series) -> Sides:
    """Examples divided by the side of each image id. Raises DataError `no_<side>_images` for a side without images."""
    place = side[examples.rows["image_id"]].to_numpy()
    for name in SPLITS:
        if not (place == name).any():
            raise DataError(f"no_{name}_images", f"The data have no readable image for the {name} side.")
    train, validation, test = (examples.take(place == name) for name in SPLITS)
    return Sides(train, validation, test, int((place == LEARNT).sum()))


def sharpened(sides: Sides, dataset: Dataset, preparation: Preparation, progress: Progress) -> Sides:
    """The same sides, with the sharper copies of the data set in some train frames, if it has any. A train image whose
    copy cannot be read is left out, and named in `train.refused`.
    """
    if dataset.details is None:
        return sides
    train = replace(dataset, table=sides.train.rows)
    return replace(sides, train=load(train, preparation, progress, details=dataset.details))
