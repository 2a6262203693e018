"""The first bundle: members fitted to HAM10000 from ImageNet backbones, a stack, thresholds, an evaluation and a
card.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import keras
import numpy as np

from ml import bundle as bundles
from ml import calibration, evaluate, model_card, training
from ml.assess import novelty
from ml.bundle import Bundle, Member
from ml.data import examples as data
from ml.data import ham10000, splits
from ml.data.examples import Examples
from ml.ensemble import Ensemble
from ml.imaging.preprocess import FRAME, Size
from ml.progress import Progress
from ml.version import code_version

LICENCE = (
    f"{ham10000.ATTRIBUTION} Backbones: ImageNet weights by Google, Apache-2.0. "
    "The weights of this bundle carry the attribution and the non-commercial condition."
)


@dataclass(frozen=True)
class Run:
    """What the first training is given.

    `data` holds HAM10000's table and images, `backbones` the ImageNet weights; `work` keeps what an interrupted run
    goes on from; the bundle goes to `output`, which is made.
    """

    data: Path
    backbones: Path
    work: Path
    output: Path
    members: Sequence[str]
    settings: training.Settings


SIZE: Final[Size] = (192, 144)
"""(width, height) of what a member sees of a frame."""

SERVED_VIEWS: Final = ("whole", "middle")

NOVELTY_IMAGES: Final = 2000


def train(run: Run, progress: Progress) -> Bundle:
    """Trains and writes a bundle. Raises DataError for data that cannot be used and FileNotFoundError for a missing
    backbone.
    """
    progress.stage("reading")
    dataset = ham10000.read(run.data)
    dataset = replace(dataset, table=splits.assign(dataset.table))
    sides = {name: data.load(dataset.split(name), dataset.images, FRAME) for name in ("train", "validation", "test")}
    fit_members(run, sides["train"], sides["validation"], progress)

    progress.stage("evaluating")
    run.output.mkdir(parents=True, exist_ok=True)
    members = [Member(name, run.output / f"{name}.npz", SIZE, SERVED_VIEWS) for name in run.members]
    for member in members:
        shutil.copyfile(run.work / member.weights.name, member.weights)
    ensemble = evaluate.ready(members, run.work / "cache")
    validation = sides["validation"]
    answers = ensemble.in_batches(validation.pixels)
    calibrated = calibration.fit(answers.logits, validation.labels, validation.lesions, run.settings.seed)
    seen = np.concatenate([sides["train"].fingerprints, validation.fingerprints])
    test, dropped = evaluate.unseen(sides["test"], seen)
    scored = evaluate.score(ensemble.in_batches(test.pixels).logits, test, calibrated)
    metrics = evaluate.summarise(scored, dropped).as_dict()

    name = run.output.name
    origin = _origin(run, sides, dataset.problems)
    made = bundles.save(
        run.output,
        name=name,
        members=members,
        calibration=calibrated,
        novelty=_novelty(ensemble, sides["train"], answers.features, run.settings.seed),
        seen=seen,
        facts={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "data_hash": bundles.sha256(ham10000.table_path(run.data)),
            "code_version": code_version(),
            "seed": run.settings.seed,
            "origin": origin,
            "licence": LICENCE,
        },
        metrics=metrics,
        card=model_card.write(
            name=name,
            members=members,
            thresholds=calibrated.thresholds,
            origin=origin,
            evaluation=metrics,
            licence=LICENCE,
        ),
    )
    progress.done(bundle=str(run.output), hash=made.hash, metrics=metrics["metrics"])
    return made


def _novelty(ensemble: Ensemble, train: Examples, held_out: np.ndarray, seed: int) -> novelty.Novelty:
    """How features are distributed, from some training images, with its threshold set on held-out features (n, d)."""
    rows = np.random.default_rng(seed).permutation(len(train))[:NOVELTY_IMAGES]
    components = min(novelty.COMPONENTS, held_out.shape[1] // 2)
    return novelty.fit(ensemble.in_batches(train.pixels[rows]).features, held_out, components)


def fit_members(run: Run, train: Examples, validation: Examples, progress: Progress) -> None:
    """Fits each member and leaves `<work>/<name>.npz`. A member that is there is kept, an interrupted one goes on."""
    from ml import members, weights

    for index, name in enumerate(run.members):
        finished = run.work / f"{name}.npz"
        if finished.exists():
            continue
        progress.stage(f"training {name}")
        seed = run.settings.seed + index
        keras.utils.set_random_seed(seed)
        model = members.build(name, SIZE)
        members.load_imagenet(model, run.backbones)
        settings = replace(run.settings, seed=seed)
        training.fit(model, train, validation, settings, progress, work=run.work / f"{name}.checkpoint")
        weights.save(model, finished)
        _settings_path(run, name).write_text(json.dumps(asdict(settings)) + "\n")
        keras.utils.clear_session()


def _settings_path(run: Run, member: str) -> Path:
    """What a finished member was fitted with; it may be older than this run."""
    return run.work / f"{member}.json"


def _origin(run: Run, sides: dict[str, Examples], problems: dict[str, int]) -> list[str]:
    """Sentences for the card and the manifest."""
    width, height = SIZE
    fitted = []
    for member in run.members:
        settings = training.Settings(**json.loads(_settings_path(run, member).read_text()))
        fitted.append(f"{member} for {settings.epochs} epochs of {settings.samples or len(sides['train'])} images")
    refused = sum(len(examples.refused) for examples in sides.values())
    counts = {**problems, **({"refused": refused} if refused else {})}
    return [
        "HAM10000, whole frames, split by lesion: "
        + ", ".join(f"{len(examples)} images for {name}" for name, examples in sides.items())
        + ".",
        f"Members start from ImageNet and are fitted to the train split at {width} x {height} pixels: "
        f"{', '.join(fitted)}. Classes are drawn by the square root of their size, "
        "with random rotation, flip, zoom, shear, light and tint.",
        "The stack and the thresholds are fitted to the validation split. Nothing was chosen on the test split.",
        "Problems in the data: " + (", ".join(f"{name} {count}" for name, count in counts.items()) or "none") + ".",
    ]
