"""The whole assessment of a bundle on the test split of labelled data, through the networks that serve it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image

from ml import evaluate
from ml.assess import not_lesions, report
from ml.assess.artefacts import ARTEFACTS
from ml.assess.degradations import DEGRADATIONS, Change
from ml.assess.report import Assessment
from ml.bundle import Bundle
from ml.data.examples import Examples, load
from ml.data.images import ImageStore
from ml.imaging.decode import decode
from ml.imaging.preprocess import framed, preprocess, scaled
from ml.metrics import Scored
from ml.prepare import prepared
from ml.runtime.ensemble import Answers, Ensemble, heat
from ml.segmentation import masks
from ml.segmentation.focus import heat_inside

PICTURES: Final = 100
"""How many pictures of each kind that is no lesion are shown."""

FIRST: Final = 1000
"""Their first seed: the pictures of the seeds below were looked at when the method was chosen."""

SEED: Final = 0

SHIFT: Final = 0.2
"""How far pictures are moved to one side, as a share of the frame, to see whether the heat follows the lesion."""

Stage = Callable[[str], object]
"""Is told what is measured next."""


@dataclass(frozen=True)
class _Subject:
    """What is assessed, and on what: `test` are images that it has never seen, and `images` holds them as published."""

    bundle: Bundle
    ensemble: Ensemble
    test: Examples
    images: ImageStore

    def answers(self, frames: np.ndarray) -> Answers:
        """What the members say about frames, of these images or others."""
        return self.ensemble.in_batches(prepared(frames, self.bundle.preparation))

    def scored(self, answers: Answers) -> tuple[Scored, np.ndarray]:
        """The answers to frames of the same images, and which of them are told as no lesion, bool (n,)."""
        flagged, taxonomy = self.bundle.novelty.is_novel(answers.features), self.bundle.taxonomy
        return evaluate.score(answers.logits, self.test, self.bundle.calibration, taxonomy, ~flagged), flagged


def assess(
    bundle: Bundle,
    test: Examples,
    images: ImageStore,
    cache: Path,
    stage: Stage = lambda name: None,
    *,
    outlines: ImageStore | None = None,
    details: ImageStore | None = None,
    caveats: Sequence[str] = (),
    pictures: int = PICTURES,
) -> tuple[Assessment, Scored]:
    """Measures a bundle on test images that it has never seen (see `ml.evaluate.measurable`), which `images` holds as
    published: its metrics, its sets, subgroups, poor photos, artefacts, pictures of no lesion, the same photos sharper
    where `details` has copies of their middle and, where `outlines` holds masks, where its heat lies. `caveats` say
    what the data leave untold. Gives with that the answers to the images as they are.

    Raises DataError `missing_masks`.
    """
    ensemble = evaluate.ready(bundle.members, cache, bundle.frame)
    subject = _Subject(bundle, ensemble, test, images)
    stage("answering")
    unmoved = subject.answers(test.pixels)
    clean, flagged = subject.scored(unmoved)
    shares = _heat(subject, unmoved, outlines, stage) if outlines else {}
    degraded = {name: _changed(subject, change, name, stage) for name, change in DEGRADATIONS.items()}
    spoilt = {name: _changed(subject, change, name, stage) for name, change in ARTEFACTS.items()}
    assessment = report.assess(
        clean,
        bundle.name,
        table=test.rows,
        quantiles=bundle.calibration.conformal,
        degraded={name: scored for name, (scored, _) in degraded.items()},
        artefacts={name: scored for name, (scored, _) in spoilt.items()},
        sharper=_sharper(subject, clean, details, stage),
        flags={
            **{kind: _strange(subject, kind, pictures, stage) for kind in not_lesions.KINDS},
            **{f"lesion, {name}": flags for name, (_, flags) in (degraded | spoilt).items()},
        },
        lesions_flagged=flagged,
        heat=shares,
        caveats=caveats,
    )
    return assessment, clean


def _changed(subject: _Subject, change: Change, name: str, stage: Stage) -> tuple[Scored, np.ndarray]:
    """What `_Subject.scored` gives after a change, which is made on the photo as it was published."""
    stage(name)

    def frame(place: int, image_id: str) -> np.ndarray:
        image = change(decode(subject.images.read(image_id)).image, np.random.default_rng((SEED, place)))
        return preprocess(image, subject.bundle.frame)

    with ThreadPoolExecutor(2) as pool:
        frames = list(pool.map(frame, range(len(subject.test)), subject.test.rows["image_id"]))
    return subject.scored(subject.answers(np.stack(frames)))


def _sharper(
    subject: _Subject, clean: Scored, details: ImageStore | None, stage: Stage
) -> tuple[Scored, Scored] | None:
    """Of the images that `details` has sharper copies of: the answers to them as they are, and to their sharper frames,
    which show what a photo of full size would. None where it has none.
    """
    known = subject.test.rows["image_id"].isin(details.ids() if details else []).to_numpy()
    if details is None or not known.any():
        return None
    stage("sharper photos")
    rows, taxonomy = subject.test.rows[known], subject.bundle.taxonomy
    # Where every row has a copy, every frame uses its own.
    sharp = load(rows, subject.images, subject.bundle.frame, taxonomy=taxonomy, details=details)
    scored, _ = replace(subject, test=sharp).scored(subject.answers(sharp.pixels))
    return clean.take(subject.test.rows["image_id"].isin(sharp.rows["image_id"]).to_numpy()), scored


def _strange(subject: _Subject, kind: str, pictures: int, stage: Stage) -> np.ndarray:
    """Which pictures of a kind that is no lesion are told as such, bool (pictures,)."""
    stage(kind)
    frames = [preprocess(not_lesions.draw(kind, FIRST + seed), subject.bundle.frame) for seed in range(pictures)]
    return subject.bundle.novelty.is_novel(subject.answers(np.stack(frames)).features)


def _heat(subject: _Subject, unmoved: Answers, outlines: ImageStore, stage: Stage) -> dict[str, np.ndarray]:
    """The share of a heatmap's mass inside the lesion, float (n,): of each member's, of all members' together, and of
    those that know nothing of the lesion. `unmoved` are the answers to the test images as they are.
    """
    stage("heat")
    drawn = [_framed(mask, subject) for mask in masks.load(subject.test.rows, outlines)]
    shares = {
        member.name: _inside(heat([maps], logits.argmax(axis=1)), drawn)
        for member, maps, logits in zip(
            subject.bundle.members, unmoved.maps, unmoved.logits.swapaxes(0, 1), strict=True
        )
    }
    stage("heat of moved pictures")
    side = np.random.default_rng(SEED).choice((-SHIFT, SHIFT), (len(drawn), 2)) * subject.bundle.frame
    moved = [_moved(one, way) for one, way in zip(subject.test.pixels, side, strict=True)]
    moved_masks = [_moved(mask.astype(np.uint8), way) > 0 for mask, way in zip(drawn, side, strict=True)]
    for where, answers, outlined in (
        ("", unmoved, drawn),
        (", moved", subject.answers(np.stack(moved)), moved_masks),
    ):
        probabilities = subject.bundle.calibration.stack.probabilities(answers.logits)
        grids = heat(answers.maps, probabilities.argmax(axis=1))
        shares[f"all members{where}"] = _inside(grids, outlined)
        shares[f"another picture's{where}"] = _inside(np.roll(grids, len(grids) // 2, axis=0), outlined)
        shares[f"an even one{where}"] = _inside(np.ones_like(grids), outlined)
    return shares


def _moved(picture: np.ndarray, way: np.ndarray) -> np.ndarray:
    """A picture moved by (x, y) pixels, with its mirror image where it was."""
    matrix = np.column_stack([np.eye(2), way])
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)


def _inside(grids: np.ndarray, drawn: Sequence[np.ndarray]) -> np.ndarray:
    """The share of each heatmap's mass inside its mask, float (n,); NaN where the mask is empty."""
    pairs = zip(grids, drawn, strict=True)
    return np.array([heat_inside(grid, mask) if mask.any() else np.nan for grid, mask in pairs])


def _framed(mask: np.ndarray, subject: _Subject) -> np.ndarray:
    """A mask over the whole image as a mask over its frame."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return framed(scaled(picture, subject.bundle.frame), subject.bundle.frame)[..., 0] > 127
