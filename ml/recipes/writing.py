"""From fitted members to a bundle's folder: calibration, what tells no lesion, measurements, figures and the card."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from ml import bundle as bundles
from ml import evaluate, model_card
from ml.assess import novelty, report
from ml.assess.novelty import Novelty
from ml.bundle import Bundle
from ml.data import ham10000, left_out, reading
from ml.data.table import Dataset
from ml.imaging import preprocess
from ml.imaging.fingerprint import matches
from ml.preparation import Preparation
from ml.progress import Progress
from ml.recipes import comparison, distillation, fitting, imagenet, measures
from ml.recipes.comparison import AsAuthors
from ml.recipes.fitting import Fitted
from ml.recipes.given import Given, Run
from ml.recipes.recipe import FIGURES, Made, Part, Recipe
from ml.recipes.sides import Sides
from ml.training.augment import augment
from ml.version import code_version

NOVELTY_IMAGES: Final = 2000


def write(
    run: Run,
    given: Given,
    sides: Sides,
    fitted: Fitted,
    *,
    compared: AsAuthors | None,
    refused: Mapping[str, str],
    work: Path,
    progress: Progress,
) -> Bundle:
    """Measures what was fitted to a split by lesion on its test side and writes the bundle to the run's output, which
    is made: with `figures/`, a card, and in the manifest the comparison with the authors' figures. A bundle that was
    there is none until this one is whole. `refused` are the images that could not be read, with the reason.
    """
    recipe, output, draws = run.recipe, run.output, run.draws
    seed = fitting.settings(work, recipe.members[0].name).seed
    taxonomy, calibrated = given.dataset.taxonomy, fitted.calibration
    seen = np.concatenate([sides.fingerprints, given.seen])
    test, dropped = evaluate.measurable(sides.test, seen)
    told_apart = _novelty(fitted, sides, seed)
    answers = fitted.ensemble.in_batches(test.pixels)
    networks = evaluate.score(answers.logits, test, calibrated, taxonomy)
    scored = replace(networks, answered=~told_apart.is_novel(answers.features))
    honest = measures.measured(fitted.plain(answers.logits, test, taxonomy), draws)
    metrics = evaluate.summarise(scored, dropped).as_dict()

    for name in (bundles.MANIFEST, bundles.TRAINED):  # a bundle that is half another's would load and answer
        (output / name).unlink(missing_ok=True)
    members = fitting.moved(fitted.members, output)
    alone, unnamed = left_out.lone(given.dataset), int((given.dataset.table["patient_id"] == "").sum())
    patients_known = bool((alone["patient_id"] != "").all())
    assessed = report.assess(
        scored,
        output.name,
        table=test.rows,
        quantiles=calibrated.conformal,
        caveats=model_card.untold(len(alone), patients_known, unnamed),
        draws=draws,
    )
    epochs = {member.name: fitting.history(work, member.name) for member in members}
    _bring_curves(recipe, given.start, output / FIGURES)
    report.write(assessed, scored, output / FIGURES, {name: told for name, told in epochs.items() if told})
    made = Made(
        recipe=recipe,
        folder=output,
        work=work,
        members=members,
        calibration=calibrated,
        taxonomy=taxonomy,
        sides=sides,
        scored=networks,
        test=test,
        images=given.dataset.images,
        draws=draws,
        progress=progress,
    )
    extras = [sentence for extra in recipe.extras for sentence in extra(made)]

    origin = [*_origin(run, given, sides, refused, work), *extras]
    ancestors = model_card.lineage(given.start) if given.start else []
    licence = _licence(run, given)
    return bundles.save(
        output,
        name=output.name,
        members=members,
        calibration=calibrated,
        novelty=told_apart,
        seen=seen,
        trained=_trained(given, sides),
        taxonomy=taxonomy,
        preparation=given.preparation,
        facts={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "recipe": recipe.name,
            "data_hash": _data_hash(given.dataset, sides),
            "code_version": code_version(),
            "seed": seed,
            "origin": origin,
            "ancestors": ancestors,
            "licence": licence,
            "problems": given.dataset.problems,
            "unknown_classes": given.dataset.unknown,
            "refused": {**refused, **sides.train.refused},
            "comparison": comparison.facts(recipe.reported, compared, honest),
        },
        metrics=metrics,
        card=model_card.write(
            name=output.name,
            members=members,
            thresholds=calibrated.thresholds,
            malignant_share=calibrated.malignant_share,
            origin=origin,
            evaluation=metrics,
            licence=licence,
            taxonomy=taxonomy,
            comparison=comparison.section(recipe.reported, compared, honest, len(alone), patients_known),
            figures=f"{FIGURES}/assessment.md",
            subgroups=assessed.subgroups,
            lone_images=len(alone),
            patients_known=patients_known,
            unnamed_patients=unnamed,
            ancestors=ancestors,
        ),
    )


def _bring_curves(recipe: Recipe, start: Bundle | None, figures: Path) -> None:
    """Training curves of members that stay as they were, from the bundle that they come from, and no others."""
    figures.mkdir(exist_ok=True)
    for stale in figures.glob(report.curves("*")):
        stale.unlink()
    for part in recipe.members:
        if start and part.kept and (known := start.path / FIGURES / report.curves(part.name)).exists():
            shutil.copy(known, figures)


def _data_hash(dataset: Dataset, sides: Sides) -> str:
    """SHA-256, hex, of the table and of what the images show: copies of another size are other data."""
    shown = np.concatenate([sides.fingerprints, sides.test.fingerprints])
    return sha256(dataset.table.to_csv(index=False).encode() + shown.tobytes()).hexdigest()


def _novelty(fitted: Fitted, sides: Sides, seed: int) -> Novelty:
    """How features are distributed, from some training images, with its threshold set on the validation side, as it is
    and in random views with the faults of poor photos: those are of lesions too.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(sides.train))[:NOVELTY_IMAGES]
    frames = sides.validation.pixels
    height, width = frames.shape[1:3]
    views = np.stack([augment(frame, (width, height), rng) for frame in frames])
    held_out = np.concatenate([fitted.validation_features, fitted.ensemble.in_batches(views).features])
    components = min(novelty.COMPONENTS, held_out.shape[1] // 2)
    return novelty.fit(fitted.ensemble.in_batches(sides.train.pixels[rows]).features, held_out, components)


def _trained(given: Given, sides: Sides) -> np.ndarray | None:
    """Fingerprints of what members learnt from, None where a bundle that they learnt from does not tell its own."""
    told = all(bundle.tells_trained for bundle in given.before)
    return np.concatenate([sides.train.fingerprints, given.learnt]) if told else None


def _origin(run: Run, given: Given, sides: Sides, refused: Mapping[str, str], work: Path) -> list[str]:
    """Sentences for the card and the manifest."""
    recipe, problems = run.recipe, dict(given.dataset.problems)
    parts = {"train": sides.train, "validation": sides.validation, "test": sides.test}
    if refused:
        problems["refused"] = len(refused)
    if sides.train.refused:
        problems["refused_sharper_copy"] = len(sides.train.refused)
    counts = ", ".join(f"{len(part)} images for {name}" for name, part in parts.items())
    return [
        f"Recipe {recipe.name}: {recipe.title}.",
        f"{_layout(run, given)}, split by lesion: {counts}.",
        *(_member(part, given.start, work, len(sides.train)) for part in recipe.members),
        *_backbones(run, given.start),
        *_begun(given.start),
        *_taught(given.teacher),
        *_prepared(given.preparation),
        *recipe.differs,
        "The stack and the thresholds are fitted to the validation side. Nothing was chosen on the test side.",
        *_learnt(given, sides),
        "Problems in the data: " + (", ".join(f"{name} {count}" for name, count in problems.items()) or "none") + ".",
        *([f"No class has the labels {left_out.counts(unknown)}."] if (unknown := given.dataset.unknown) else []),
    ]


def _member(part: Part, begun: Bundle | None, work: Path, images: int) -> str:
    used, (width, height) = fitting.settings(work, part.name), part.size
    start = "ImageNet weights" if part.imagenet else "random weights"
    if begun and part.name in [member.name for member in begun.members]:
        if part.kept:
            return f"{part.name} ({width} x {height} pixels): weights unchanged from {begun.name}."
        start = begun.name
    mixed = f", mixup {used.mixup:g}" if used.mixup else ""
    frozen = ", its backbone frozen" if used.freeze_backbone else ""
    return (
        f"{part.name} at {width} x {height} pixels starts from {start}{frozen}: {used.epochs} epochs of "
        f"{used.samples or images} images in batches of {used.batch}, {used.loss.replace('_', ' ')}, "
        f"{used.sampling} sampling, {used.augmentation} augmentation{mixed}, learning rate {used.learning_rate:g}, "
        f"seed {used.seed}."
    )


def _backbones(run: Run, begun: Bundle | None) -> list[str]:
    """Which files the ImageNet weights were, since several are published for one network."""
    started = {member.name for member in begun.members} if begun else set()
    files = {}
    for part in run.recipe.members:
        if part.imagenet and part.name not in started:
            with suppress(FileNotFoundError):  # a finished member needs them no more
                files[part.name] = imagenet.file(part.name, run.backbones)
    return [f"The ImageNet weights of {name} have the SHA-256 {bundles.sha256(file)}." for name, file in files.items()]


def _begun(start: Bundle | None) -> list[str]:
    if start is None:
        return []
    frames = start.manifest["preprocessing"]["version"]
    if frames == preprocess.VERSION:
        return []
    return [
        f"{start.name} prepares pictures by preprocessing version {frames}, this bundle by {preprocess.VERSION}. "
        f"Every figure here is measured with {preprocess.VERSION}."
    ]


def _taught(teacher: Bundle | None) -> list[str]:
    if teacher is None:
        return []
    told = f"{teacher.name} (bundle {teacher.hash[:12]})"
    return [f"Members learn the answers of {told} with weight {distillation.TRUST:g}, and the labels with the rest."]


def _learnt(given: Given, sides: Sides) -> list[str]:
    """Of validation images that members have learnt from, or may have."""
    dropped = f"{sides.learnt} validation images were left out, since members have learnt from them."
    untold = {bundle.name: bundle.seen for bundle in given.before if not bundle.tells_trained}
    known = {name: int(matches(sides.validation.fingerprints, seen).sum()) for name, seen in untold.items()}
    return [
        *([dropped] if sides.learnt else []),
        *(
            f"{name} has seen {count} of the validation images and keeps no list of those that its members learnt "
            "from. If they learnt from these, thresholds and calibration look better than they are."
            for name, count in known.items()
            if count
        ),
    ]


def _prepared(preparation: Preparation) -> list[str]:
    hair = ["Hairs are taken out of every frame."] if preparation.remove_hair else []
    mask = [f"The skin around the lesion is blanked, by {preparation.segmenter}."] if preparation.segmenter else []
    return [*hair, *mask]


def _layout(run: Run, given: Given) -> str:
    """How the data were published. A table with the columns of HAM10000's is of its images where these bear its ids."""
    names = [layout.name for layout in reading.LAYOUTS if not layout.missing(run.data)]
    if names[:1] == ["HAM10000"] and not given.dataset.table["image_id"].str.startswith("ISIC_").all():
        return "Images in HAM10000's layout"
    return names[0] if names else "Images in a folder for each class"


def _licence(run: Run, given: Given) -> str:
    """That of the data, of the backbones that members began from, and of what the bundles that they learnt from were
    made of.
    """
    layout = _layout(run, given)
    licence = f"{layout}: the terms of these images hold for the weights of this bundle."
    if layout == "HAM10000":
        carry = "The weights of this bundle carry the attribution and the non-commercial condition."
        licence = f"{ham10000.ATTRIBUTION} {carry}"
    if any(part.imagenet for part in run.recipe.members):
        licence += " Backbones: ImageNet weights by Google, Apache-2.0."
    for bundle in given.before:
        theirs = str(bundle.manifest.get("licence", ""))
        if theirs not in licence:
            licence += f" Of {bundle.name}, which members learnt from: {theirs}"
    return licence
