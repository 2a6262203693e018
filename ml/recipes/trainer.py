"""The one trainer of every recipe: fits it as its authors divided the data, and again by lesion; the second becomes a
bundle that says what both measured.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pandas as pd

from ml import evaluate, stack
from ml.bundle import CARD, Bundle
from ml.classes import Taxonomy
from ml.data import left_out
from ml.data.examples import Examples
from ml.imaging.fingerprint import matches
from ml.imaging.preprocess import VERSION
from ml.progress import Progress
from ml.recipes import fitting, given, imagenet, sides, writing
from ml.recipes.comparison import AsAuthors, as_authors
from ml.recipes.fitting import Fitted
from ml.recipes.given import Given, Run
from ml.recipes.recipe import Lesson
from ml.recipes.sides import Sides
from ml.stack import StackError
from ml.training import work_folder


def train(run: Run, progress: Progress) -> Bundle:
    """Trains, measures and writes a bundle.

    Raises DataError for data that cannot be used, or other than those that `work` was filled from, FileNotFoundError
    for a missing segmenter, StackError for too few lesions, BundleError for a teacher or start that is none; before any
    image is read FileNotFoundError for missing ImageNet weights, and before any training SeenError where every test
    image was seen, OSError for an output that cannot be written, and what the recipe's `needs` raises.
    """
    if run.recipe.needs:
        run.recipe.needs()
    progress.stage("reading")
    read = given.read(run, progress)
    by_lesion_work, by_image_work = (run.work / run.recipe.name / name for name in ("by-lesion", "by-image"))
    authors_split = run.recipe.authors_split if run.as_authors else None
    _require_backbones(run, read, [by_lesion_work, *([by_image_work] if authors_split else [])])
    run.output.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=run.output).close()  # hours before it is needed: can it be written at all?
    examples = sides.load(read.dataset, read.preparation, progress)
    _warn_of(examples, progress)
    by_lesion = sides.without_learnt(read.by_lesion, examples, read.learnt)
    _require_lesions(examples, by_lesion, read.dataset.taxonomy)
    _require_unseen(examples, by_lesion, read.seen)
    compared: AsAuthors | None = None
    if authors_split:
        progress.stage("the authors' split, by image")
        by_image = sides.by_image(read.dataset.table.set_index("image_id"), authors_split)
        by_image = sides.without_learnt(by_image, examples, read.learnt)
        try:
            _require_lesions(examples, by_image, read.dataset.taxonomy)
        except StackError as error:
            raise StackError(
                f"{error} That is the authors' split, by image: --only-by-lesion leaves it out."
            ) from error
        divided, fitted = _follow(run, read, sides.divide(examples, by_image), by_image_work, progress)
        shown = divided.test.fingerprints
        leaked = divided.leaked | matches(shown, np.concatenate([divided.fingerprints, read.known]))
        outlined = int(matches(shown, read.outlined).sum())
        compared = as_authors(fitted, divided, read.dataset.taxonomy, leaked, outlined=outlined, draws=run.draws)
        del divided  # a gigabyte of pixels
    progress.stage("the split by lesion")
    divided, fitted = _follow(run, read, sides.divide(examples, by_lesion), by_lesion_work, progress)
    progress.stage("evaluating")
    made = writing.write(
        run, read, divided, fitted, compared=compared, refused=examples.refused, work=by_lesion_work, progress=progress
    )
    progress.done(
        bundle=str(run.output),
        card=str(run.output / CARD),
        hash=made.hash,
        metrics=made.manifest["metrics"]["metrics"],
    )
    return made


def _require_backbones(run: Run, read: Given, works: Sequence[Path]) -> None:
    """Raises FileNotFoundError where a member that is not finished would find no ImageNet weights to start from."""
    known = {member.name for member in read.start.members} if read.start else set()
    unfinished = [
        part
        for part in run.recipe.members
        if part.name not in known and not all((work / f"{part.name}.npz").exists() for work in works)
    ]
    wanted = [part.name for part in unfinished if part.imagenet]
    imagenet.require(wanted, [part.name for part in run.recipe.members], run.backbones)


def _warn_of(read: Examples, progress: Progress) -> None:
    """Of images that could not be read."""
    if unreadable := left_out.unreadable(read.refused):
        progress.warning(unreadable, refused=read.refused)


def _require_lesions(examples: Examples, side: pd.Series, taxonomy: Taxonomy) -> None:
    """Raises StackError where the validation images of a split, by the side of each image id, are too few."""
    place = side[examples.rows["image_id"]].to_numpy()
    kept, learnt = place == "validation", int((place == sides.LEARNT).sum())
    try:
        stack.require_lesions(examples.labels[kept], examples.lesions[kept], taxonomy)
    except StackError as error:
        told = f" {learnt} more images were left out there, since members have learnt from them." if learnt else ""
        raise StackError(f"{error}{told}") from error


def _require_unseen(examples: Examples, side: pd.Series, seen: np.ndarray) -> None:
    """Raises SeenError where a model of the sides, which has `seen` more, would know every test image."""
    divided = sides.divide(replace(examples, pixels=examples.pixels[:, :0]), side)  # without a copy of the pixels
    evaluate.measurable(divided.test, np.concatenate([divided.fingerprints, seen]))


def _follow(run: Run, read: Given, divided: Sides, work: Path, progress: Progress) -> tuple[Sides, Fitted]:
    """Fits the recipe to one split. Raises DataError `other_data` where `work` holds what was fitted to another."""
    work_folder.claim(
        work,
        VERSION,
        [
            list(zip(side.rows["image_id"], side.rows["dx"], side.fingerprints.tolist(), strict=True))
            for side in (divided.train, divided.validation, divided.test)
        ],
        read.dataset.taxonomy.codes,
        asdict(read.preparation),
        [bundle.hash if bundle else None for bundle in (read.start, read.teacher)],
    )
    if run.recipe.sharp_copies:
        divided = sides.sharpened(divided, read.dataset, read.preparation, progress)
        _warn_of(divided.train, progress)
    lesson = Lesson(run.recipe, divided, read.dataset.taxonomy, work, run.backbones, read.start, progress)
    soft_labels = read.teach(replace(lesson, work=work / "teacher")) if read.teach else None
    return divided, fitting.fit(lesson, soft_labels)
