"""The members of a recipe, fitted to one split of the data and made ready to answer."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml import calibration, evaluate, training
from ml.bundle import Member
from ml.calibration import Calibration
from ml.classes import Taxonomy
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.files import complete
from ml.metrics import Scored
from ml.networks import members, weights
from ml.recipes import imagenet
from ml.recipes.recipe import Lesson, Part
from ml.runtime.ensemble import Ensemble
from ml.stack import average
from ml.training import Settings


@dataclass(frozen=True)
class Fitted:
    """Members with their weights in a folder, their calibration on the validation side, and the features that the last
    of them gave there.
    """

    members: list[Member]
    ensemble: Ensemble
    calibration: Calibration
    validation_features: np.ndarray

    def plain(self, logits: np.ndarray, test: Examples, taxonomy: Taxonomy) -> Scored:
        """Answers to test images as authors score them: the most probable class is named, and one network alone answers
        without any calibration.
        """
        one = len(self.members) == 1
        stack = average(1, len(taxonomy.codes)) if one else self.calibration.stack
        return Scored(stack.probabilities(logits), test.labels, test.lesions, 0.5, taxonomy)


def fit(lesson: Lesson, soft_labels: np.ndarray | None) -> Fitted:
    """Fits each member to the labels of the train side, or to soft ones, float (n, classes), and leaves
    `<work>/<name>.npz`: one that is there is kept, an interrupted one goes on.

    A member starts from the bundle `start` where that has it, else as the recipe says. Raises DataError `other_data`
    for a finished member that was kept where this one is not, or the other way round, and for an interrupted one with
    other settings; FileNotFoundError for missing ImageNet weights, StackError for a validation side that is too small.
    """
    recipe, sides, work, progress = lesson.recipe, lesson.sides, lesson.work, lesson.progress
    work.mkdir(parents=True, exist_ok=True)
    for part in recipe.members:
        require_as_begun(part, work)
    for part in recipe.members:
        finished = work / f"{part.name}.npz"
        if finished.exists():
            known = settings(work, part.name)
            progress.stage(f"keeping {part.name} as it was trained: epochs {known.epochs}, seed {known.seed}")
            if known != part.settings:
                progress.warning(
                    f"This run asks for other settings of {part.name}; to train it anew, delete {finished}"
                )
            continue
        progress.stage(f"training {part.name}")
        keras.utils.set_random_seed(part.settings.seed)
        note(part, work)
        model = members.build(part.name, part.size, len(lesson.taxonomy.codes))
        if not (begin(model, part, lesson) and part.kept):
            training.fit(
                model,
                sides.train,
                sides.validation,
                part.settings,
                progress,
                work=_checkpoint(work, part.name),
                soft_labels=soft_labels,
            )
        weights.save(model, finished)
        keras.utils.clear_session()

    progress.stage("calibrating")
    fitted = [Member(part.name, work / f"{part.name}.npz", part.size, part.views) for part in recipe.members]
    ensemble = evaluate.ready(fitted, work / "networks")
    answers = ensemble.in_batches(sides.validation.pixels)
    seed = settings(work, recipe.members[0].name).seed
    calibrated = calibration.fit(
        answers.logits, sides.validation.labels, sides.validation.lesions, seed, lesson.taxonomy
    )
    return Fitted(fitted, ensemble, calibrated, answers.features)


def moved(fitted: Sequence[Member], folder: Path) -> list[Member]:
    """The members with copies of their weights in another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        Member(member.name, Path(shutil.copy(member.weights, folder)), member.size, member.views) for member in fitted
    ]


def settings(work: Path, name: str) -> Settings:
    """What a finished member was fitted with; it may be older than this run."""
    return Settings(**json.loads(_note(work, name).read_text())["settings"])


def history(work: Path, name: str) -> list[dict[str, Any]]:
    """The epochs of a member, as `ml.training.history` gives them."""
    return training.history(_checkpoint(work, name))


def begin(model: keras.Model, part: Part, lesson: Lesson) -> bool:
    """Gives a member its first weights, and says whether they are those of the bundle to start from. Raises
    FileNotFoundError for missing ImageNet weights.
    """
    known = {member.name: member for member in lesson.start.members} if lesson.start else {}
    if part.name in known:
        weights.load(model, known[part.name].weights)
    elif part.imagenet:
        members.load_imagenet(model, imagenet.file(part.name, lesson.backbones))
    return part.name in known


def _checkpoint(work: Path, name: str) -> Path:
    return work / f"{name}.checkpoint"


def _how(part: Part) -> dict[str, Any]:
    return {"kept": part.kept, "settings": asdict(part.settings)}


def note(part: Part, work: Path) -> None:
    """Notes beside a member that begins how it is fitted."""
    with complete(_note(work, part.name)) as file:
        file.write((json.dumps(_how(part)) + "\n").encode())


def way(part: Part, work: Path) -> dict[str, Any] | None:
    """How a finished member was fitted, None where nothing tells; of another one, how it is to be."""
    if not (work / f"{part.name}.npz").exists():
        return _how(part)
    noted = _note(work, part.name)
    return dict(json.loads(noted.read_text())) if noted.exists() else None


def require_as_begun(part: Part, work: Path) -> None:
    """Raises DataError `other_data` where a member was begun in another way: what is told of it would not be true."""
    began, told = _checkpoint(work, part.name), _note(work, part.name)
    if not told.exists():
        return
    noted = json.loads(told.read_text())
    if (work / f"{part.name}.npz").exists():
        same = noted["kept"] == part.kept
    else:
        same = noted == _how(part) or not began.exists()
    if not same:
        raise DataError(
            "other_data",
            f"{part.name} in {work} was begun with another --keep, --epochs, --samples or --seed. Say these again, or "
            f"delete {part.name}.npz and {began.name} there to train it anew.",
        )


def _note(work: Path, name: str) -> Path:
    return work / f"{name}.json"
