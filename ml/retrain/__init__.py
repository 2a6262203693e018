"""Learning further from labels: members of the active bundle are fine-tuned, and the candidate meets the gate."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from ml import bundle as bundles
from ml import calibration, evaluate, gate, model_card
from ml.advice import Advice
from ml.assess.novelty import Novelty
from ml.bundle import Bundle, Member
from ml.calibration import Calibration
from ml.classes import CLASSES, SEVEN
from ml.data import examples as data
from ml.data import snapshot
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.prepare import prepared
from ml.progress import Progress
from ml.retrain import fine_tuning, learnt_here
from ml.runtime.ensemble import Ensemble
from ml.version import code_version

STACK_LESIONS: Final = 200
STACK_LESIONS_OF_A_CLASS: Final = 10
"""A validation split with so many lesions, in all and of each class, refits the stack and the thresholds; else they
stay.
"""

MOST_UNREFERRED: Final = 0.5
"""No operating point lies above this P(malignant)."""


@dataclass(frozen=True)
class Run:
    """What a retraining is given.

    `bundle`, `snapshot` (CSV) and `images` (folder) are read; `output` receives `bundle/` and `gate.json`; `cache`
    keeps converted networks. `margin` is the loss of sensitivity that the gate allows; see `ml.gate`.
    """

    bundle: Path
    snapshot: Path
    images: Path
    output: Path
    cache: Path
    epochs: int
    members: Sequence[str]
    seed: int = 0
    margin: float = gate.MARGINS["sensitivity"]
    min_lesions: int = gate.MIN_LESIONS

    @property
    def margins(self) -> dict[str, float]:
        """The loss of each metric that the gate allows."""
        return {**gate.MARGINS, "sensitivity": self.margin}


@dataclass(frozen=True)
class Splits:
    """What was loaded and may be used: `validation` without the images whose fingerprint is in `trained`, those that a
    member is or was fitted to; `test` without those in `seen`, and without those that chance did not choose where that
    leaves enough for the gate. `dropped` counts the images that were seen, by side, and `refused` names those that
    could not be read, with why.
    """

    train: Examples
    validation: Examples
    test: Examples
    trained: np.ndarray
    seen: np.ndarray
    dropped: dict[str, int]
    refused: dict[str, str]


def retrain(run: Run, progress: Progress) -> gate.Gate:
    """Makes a candidate from the active bundle and measures both on the snapshot's test split.

    Fine-tunes `run.members` on the train split alone and keeps the other members. A test split of which the model has
    seen every image measures nothing: the gate is inconclusive then. Raises BundleError, and DataError with the codes
    of `ml.data.snapshot.read` and of `refitted`, `output_holds_the_bundle`, `other_classes`, `unknown_member`,
    `no_train_images` and `no_test_images`.
    """
    folder = run.output / "bundle"
    if run.bundle.resolve().is_relative_to(folder.resolve()):  # what is there already is removed below
        raise DataError(
            "output_holds_the_bundle", f"{folder} is the bundle to go on from, which would be lost. Say another output."
        )
    progress.stage("reading")
    active = bundles.load(run.bundle)
    if active.taxonomy != SEVEN:
        raise DataError(
            "other_classes",
            f"Labels name seven classes and {active.name} tells {len(active.taxonomy.codes)} apart, so they cannot "
            "train it further. Say a bundle of the seven classes.",
        )
    names = [member.name for member in active.members]
    if unknown := sorted(set(run.members) - set(names)):
        raise DataError("unknown_member", f"{active.name} has no {', '.join(unknown)}, only {', '.join(names)}.")
    splits = _read(run, active)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for member in active.members:
        if member.name in run.members:
            progress.stage(f"training {member.name}")
            how = fine_tuning.settings(active, member.name, run.epochs, run.seed)
            fine_tuning.fit(member, how, splits.train, splits.validation, folder=folder, progress=progress)
        else:
            shutil.copyfile(member.weights, folder / member.weights.name)

    progress.stage("evaluating")
    answer, candidate = _judge(run, active, splits, folder)
    facts = {
        "active": active.hash,
        "candidate": candidate.hash,
        "dropped_seen": splits.dropped["test"],
        "dropped_validation": splits.dropped["validation"],
        "refused": splits.refused,
    }
    (run.output / "gate.json").write_text(json.dumps({**answer.as_dict(), **facts}, indent=1) + "\n")
    progress.done(verdict=answer.verdict, reason=answer.reason, bundle=str(folder), **facts)
    return answer


def supports_stack(validation: Examples) -> bool:
    """Whether validation images are enough to refit the stack and the thresholds; see STACK_LESIONS."""
    lesions = [len(set(validation.lesions[validation.labels == index])) for index in range(len(CLASSES))]
    return sum(lesions) >= STACK_LESIONS and min(lesions) >= STACK_LESIONS_OF_A_CLASS


def to_measure(test: Examples, needs: Mapping[str, int]) -> Examples:
    """The test images to measure on: those that chance chose, where these have the malignant and benign lesions that
    the gate `needs`, else all.
    """
    drawn = _drawn(test)
    found = gate.lesions_of(np.isin(drawn.labels, SEVEN.malignant_indices), drawn.lesions)
    return drawn if all(found[side] >= fewest for side, fewest in needs.items()) else test


def refitted(logits: np.ndarray, validation: Examples, seed: int) -> Calibration:
    """The calibration fitted to the members' logits (n, members, k). Raises DataError `implausible_threshold` where it
    would let lesions that are more likely malignant than not go without referral, as one that was fitted to images
    which the members know by heart.
    """
    calibrated = calibration.fit(logits, validation.labels, validation.lesions, seed)
    routine = calibrated.thresholds[Advice.ROUTINE_REFERRAL.value]
    if routine > MOST_UNREFERRED:
        raise DataError(
            "implausible_threshold",
            f"By the validation images, lesions with P(malignant) up to {routine:.2f} would need no referral. Look for "
            "copies of training images and for wrong labels among them.",
        )
    return calibrated


def _read(run: Run, active: Bundle) -> Splits:
    dataset = snapshot.read(run.snapshot, run.images)
    sides = (data.load(dataset.split(name), dataset.images, active.frame) for name in ("train", "validation", "test"))
    train, validation, test = (replace(side, pixels=prepared(side.pixels, active.preparation)) for side in sides)
    refused = {**train.refused, **validation.refused, **test.refused}
    for name, examples in (("train", train), ("test", test)):
        if len(examples) == 0:
            raise DataError(f"no_{name}_images", f"The snapshot has no readable image in its {name} split.")
    # Photos that the members learnt from come back under new names: public ones, or the same one sent twice.
    trained = np.concatenate([active.trained, train.fingerprints])
    validation, learnt = evaluate.unseen(validation, trained)
    seen = np.concatenate([active.seen, trained, validation.fingerprints])
    test, dropped = evaluate.unseen(test, seen)
    test = to_measure(test, gate.lesions_needed(run.margins, run.min_lesions))
    dropped_by_side = {"validation": learnt, "test": dropped}
    return Splits(train, validation, test, trained, seen, dropped_by_side, refused)


def _drawn(examples: Examples) -> Examples:
    """Those that chance chose: labels of the others describe the choice."""
    return examples.take(examples.rows["drawn"].to_numpy(dtype=bool))


def _judge(run: Run, active: Bundle, splits: Splits, folder: Path) -> tuple[gate.Gate, Bundle]:
    """Completes the candidate in `folder` and compares it with the active bundle."""
    fine_tuned = [replace(member, weights=folder / member.weights.name) for member in active.members]
    ensemble = evaluate.ready(fine_tuned, run.cache, active.frame)
    calibrated, drawn = active.calibration, _drawn(splits.validation)
    if refit := supports_stack(drawn):
        calibrated = refitted(ensemble.in_batches(drawn.pixels).logits, drawn, run.seed)
    current = evaluate.ready(active.members, run.cache, active.frame)
    novelty = _moved(run, active, current, ensemble, splits)
    said, says = (one.in_batches(splits.test.pixels) for one in (current, ensemble))
    answered, answers = ~active.novelty.is_novel(said.features), ~novelty.is_novel(says.features)
    before = evaluate.score(said.logits, splits.test, active.calibration, answered=answered)
    after = evaluate.score(says.logits, splits.test, calibrated, answered=answers)
    candidate = _save(
        run,
        active,
        splits,
        members=fine_tuned,
        calibrated=calibrated,
        novelty=novelty,
        refit=refit,
        evaluation=evaluate.summarise(after, splits.dropped["test"]),
    )
    answer = gate.compare(
        before,
        after,
        margins=run.margins,
        min_lesions=run.min_lesions,
        seed=run.seed,
        drawn=splits.test.rows["drawn"].to_numpy(dtype=bool),
    )
    return answer, candidate


def _moved(run: Run, active: Bundle, before: Ensemble, after: Ensemble, splits: Splits) -> Novelty:
    """The active bundle's novelty for fine-tuned members: their features lie further out than those that it was fitted
    to, for lesions and for anything else, so the threshold moves as far as the same images did.
    """
    if active.members[-1].name not in run.members:  # features are the last member's
        return active.novelty
    frames = np.concatenate([splits.train.pixels, splits.validation.pixels])
    old, new = (np.median(active.novelty.distance(one.in_batches(frames).features)) for one in (before, after))
    return replace(active.novelty, threshold=active.novelty.threshold * float(new / old))


def _save(
    run: Run,
    active: Bundle,
    splits: Splits,
    *,
    members: list[Member],
    calibrated: Calibration,
    novelty: Novelty,
    refit: bool,
    evaluation: evaluate.Evaluation,
) -> Bundle:
    now = datetime.now(UTC)
    snapshot_hash = bundles.sha256(run.snapshot)
    name = f"{now:%Y%m%d-%H%M%S}-{snapshot_hash[:8]}"
    origin = [
        f"Fine-tuned {', '.join(run.members)} of {active.name} (bundle {active.hash[:12]}) for {run.epochs} "
        f"epoch{'' if run.epochs == 1 else 's'} on "
        f"{len(splits.train)} labelled images, with {len(splits.validation)} for validation; "
        f"{splits.dropped['validation']} more were left out there, since members may have learnt from them.",
        *(fine_tuning.told(one, fine_tuning.settings(active, one, run.epochs, run.seed)) for one in run.members),
        *fine_tuning.not_made_again(active),
        *([f"{len(splits.refused)} images of the snapshot could not be read."] if splits.refused else []),
        f"Snapshot {snapshot_hash}.",
        *learnt_here.sentences(splits.train, splits.validation, splits.test, refit),
    ]
    ancestors = model_card.lineage(active)
    licence = str(active.manifest.get("licence", ""))
    if model_card.LABELLED_HERE not in licence:
        licence = f"{licence} {model_card.LABELLED_HERE}".strip()
    metrics = evaluation.as_dict()
    return bundles.save(
        members[0].weights.parent,
        name=name,
        members=members,
        frame=active.frame,
        preparation=active.preparation,
        calibration=calibrated,
        novelty=novelty,
        seen=splits.seen,
        trained=splits.trained,
        facts={
            "created": now.isoformat(timespec="seconds"),
            "data_hash": snapshot_hash,
            "code_version": code_version(),
            "parent": active.hash,
            **({"recipe": active.manifest["recipe"]} if "recipe" in active.manifest else {}),
            "seed": run.seed,
            "origin": origin,
            "ancestors": ancestors,
            "licence": licence,
        },
        metrics=metrics,
        card=model_card.write(
            name=name,
            members=members,
            thresholds=calibrated.thresholds,
            malignant_share=calibrated.malignant_share,
            origin=origin,
            evaluation=metrics,
            licence=licence,
            nobodys=learnt_here.nobodys(splits.train),
            ancestors=ancestors,
        ),
    )
