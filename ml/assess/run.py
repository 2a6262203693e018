"""The whole assessment of a bundle on the test split of labelled data, through the networks that serve it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ml import evaluate
from ml.assess import not_lesions, report
from ml.assess.artefacts import ARTEFACTS
from ml.assess.degradations import DEGRADATIONS, Change
from ml.assess.report import Assessment
from ml.bundle import Bundle
from ml.data import examples, splits
from ml.data.examples import Examples
from ml.data.images import ImageStore
from ml.data.table import Dataset
from ml.ensemble import Ensemble
from ml.imaging.decode import decode
from ml.imaging.preprocess import preprocess
from ml.metrics import Scored
from ml.segmentation import masks
from ml.segmentation.focus import heat_inside

PICTURES: Final = 100
"""How many pictures of each kind that is no lesion are shown."""

SEED: Final = 0

Stage = Callable[[str], object]
"""Is told what is measured next."""


@dataclass(frozen=True)
class _Subject:
    """What is assessed, and on what: `test` are images that it has never seen, and `images` holds them as published."""

    bundle: Bundle
    ensemble: Ensemble
    test: Examples
    images: ImageStore

    def scored(self, frames: np.ndarray) -> Scored:
        """The answers to other frames of the same images."""
        logits = self.ensemble.in_batches(self.bundle.preparation(frames)).logits
        return evaluate.score(logits, self.test, self.bundle.calibration, self.bundle.taxonomy)

    def flagged(self, frames: np.ndarray) -> np.ndarray:
        """Which frames are told as no lesion, bool (n,)."""
        return self.bundle.novelty.is_novel(self.ensemble.in_batches(self.bundle.preparation(frames)).features)


def assess(
    bundle: Bundle,
    dataset: Dataset,
    outlines: ImageStore | None,
    cache: Path,
    stage: Stage = lambda name: None,
    *,
    pictures: int = PICTURES,
) -> tuple[Assessment, Scored]:
    """Measures a bundle on the images of the test split that it has never seen: its metrics, its sets, subgroups, poor
    photos, artefacts, pictures of no lesion and, where `outlines` holds masks, where its heat lies.

    Raises SeenError when it has seen every image, and DataError `missing_masks`.
    """
    stage("reading")
    table = splits.assign(dataset.table)
    test = examples.load(table[table["split"] == "test"], dataset.images, bundle.frame, taxonomy=dataset.taxonomy)
    test, dropped = evaluate.unseen(test, bundle.seen)
    if not len(test):
        raise evaluate.SeenError(f"The model has seen all {dropped} test images before, so they cannot measure it.")
    ensemble = evaluate.ready(bundle.members, cache, bundle.frame, bundle.taxonomy)
    subject = _Subject(bundle, ensemble, test, dataset.images)
    stage("answering")
    clean = subject.scored(test.pixels)
    heat, area = _heat(subject, outlines, cache, stage) if outlines else ({}, None)
    assessment = report.assess(
        clean,
        bundle.name,
        table=test.rows,
        quantiles=bundle.calibration.conformal,
        degraded=dict(_changed(subject, DEGRADATIONS, stage)),
        artefacts=dict(_changed(subject, ARTEFACTS, stage)),
        flags=dict(_strange(subject, pictures, stage)),
        lesions_flagged=subject.flagged(test.pixels),
        heat=heat,
        lesion_area=area,
    )
    return assessment, clean


def _changed(subject: _Subject, changes: Mapping[str, Change], stage: Stage) -> Iterator[tuple[str, Scored]]:
    """The answers to the test images after each change, which is made on the photo as it was published."""
    for name, change in changes.items():
        stage(name)

        def frame(place: int, image_id: str, change: Change = change) -> np.ndarray:
            image = change(decode(subject.images.read(image_id)).image, np.random.default_rng((SEED, place)))
            return preprocess(image, subject.bundle.frame)

        with ThreadPoolExecutor(2) as pool:
            frames = list(pool.map(frame, range(len(subject.test.rows)), subject.test.rows["image_id"]))
        yield name, subject.scored(np.stack(frames))


def _strange(subject: _Subject, pictures: int, stage: Stage) -> Iterator[tuple[str, np.ndarray]]:
    """For each kind of picture that is no lesion, which are told as such."""
    for kind in not_lesions.KINDS:
        stage(kind)
        frames = [preprocess(not_lesions.draw(kind, seed), subject.bundle.frame) for seed in range(pictures)]
        yield kind, subject.flagged(np.stack(frames))


def _heat(
    subject: _Subject, outlines: ImageStore, cache: Path, stage: Stage
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """For each member the share of its heatmap's mass inside the lesion, float (n,), and the lesion's share of the
    frame, float (n,).
    """
    drawn = [_framed(mask, subject) for mask in masks.load(subject.test.rows, outlines)]
    shares = {}
    for member in subject.bundle.members:
        stage(f"heat of {member.name}")
        alone = evaluate.ready([member], cache, subject.bundle.frame, subject.bundle.taxonomy)
        grids = alone.in_batches(subject.bundle.preparation(subject.test.pixels)).heat
        shares[member.name] = np.array(
            [heat_inside(grid, mask) if mask.any() else np.nan for grid, mask in zip(grids, drawn, strict=True)]
        )
    return shares, np.array([mask.mean() for mask in drawn])


def _framed(mask: np.ndarray, subject: _Subject) -> np.ndarray:
    """A mask over the whole image as a mask over its frame."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(preprocess(picture, subject.bundle.frame)[..., 0] > 127)
