"""What it costs to photograph a lesion from too far away, and how often that is told: `python -m
tests.bench.small_in_frame --data <HAM10000 with its masks>`.

The lesions that fill a tenth of their picture at least and are not cut off by it, each set into frames of which they
fill less and less (`tests.bench.distance`): what the release says of all of them, whether the service would have said
it, and how many malignant ones it would have let pass. Then the same lesions' split as it is: how often a photo is told
as taken from too far away, and how small these lesions are.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

import ml.data
from ml import bundle, evaluate
from ml.assess.not_lesions import rates
from ml.bundle import Bundle
from ml.cli.options import DEFAULT_CACHE
from ml.data import examples, splits
from ml.data.examples import Examples
from ml.data.images import ImageStore
from ml.imaging.decode import decode
from ml.imaging.field import completed
from ml.imaging.preprocess import preprocess
from ml.imaging.quality import check
from ml.metrics import METRICS, measure, measure_mean
from ml.metrics.measured import words
from ml.runtime.ensemble import Ensemble
from ml.segmentation import masks
from tests.bench.distance import further_away

AS_THEY_ARE: Final = 1.0
LARGE: Final = 0.1
SHARES: Final = (AS_THEY_ARE, LARGE, 0.05, 0.03, 0.02, 0.01)
SHOWN: Final = ("malignant_auc", "sensitivity", "specificity")
SEED: Final = 0


@dataclass(frozen=True)
class _Subject:
    model: Bundle
    ensemble: Ensemble
    images: ImageStore


def main() -> None:
    """Prints a Markdown table, and a line on the photos as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of HAM10000 and its masks")
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    options = parser.parse_args()
    model = bundle.load(options.bundle or bundle.shipped())
    dataset = ml.data.read(options.data)
    rows = replace(dataset, table=splits.assign(dataset.table)).split(options.split)
    held_out = examples.load(rows, dataset.images, model.frame)
    if options.split == "test":
        held_out, _ = evaluate.measurable(held_out, model.seen)
    subject = _Subject(model, evaluate.ready(model.members, DEFAULT_CACHE, model.frame), dataset.images)
    outlines = masks.load(held_out.rows, masks.find(options.data))
    whole = [mask.mean() >= LARGE and not _is_cut_off(mask) for mask in outlines]
    lesions = held_out.take(np.array(whole))
    print(f"{model.name}, {len(lesions)} {options.split} images of {len(set(lesions.lesions))} lesions")
    print("| share | malignant AUC | sensitivity | specificity | no lesion | refused | as too far | let pass |")
    print("|---|---|---|---|---|---|---|---|")
    drawn = [mask for mask, keep in zip(outlines, whole, strict=True) if keep]
    for share in SHARES:
        name = "as they are" if share == AS_THEY_ARE else f"{share:.0%}"
        print(f"| {name} | {' | '.join(_row(subject, lesions, drawn, share))} |", flush=True)
    _alarms(subject, held_out, outlines)


def _is_cut_off(mask: np.ndarray) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _row(subject: _Subject, lesions: Examples, outlines: list[np.ndarray], share: float) -> list[str]:
    """What the release says of the lesions at a share of the frame, and what becomes of them in the service."""

    def photographed(place: int) -> tuple[np.ndarray, tuple[str, ...]]:
        pixels = decode(subject.images.read(lesions.rows["image_id"].iloc[place])).pixels
        if share != AS_THEY_ARE:
            pixels = further_away(completed(pixels), outlines[place], share, np.random.default_rng((SEED, place)))
        return preprocess(pixels, subject.model.frame), check(pixels).codes

    with ThreadPoolExecutor(2) as pool:
        frames, codes = zip(*pool.map(photographed, range(len(lesions))), strict=True)
    answers = subject.ensemble.in_batches(np.stack(frames))
    scored = evaluate.score(answers.logits, lesions, subject.model.calibration, subject.model.taxonomy)
    novel = subject.model.novelty.is_novel(answers.features)
    refused, far = np.array([bool(found) for found in codes]), np.array(["too_far" in found for found in codes])
    passed = (~scored.referred & ~refused & ~novel)[scored.is_malignant]
    measured = measure(scored, metrics={name: METRICS[name] for name in SHOWN})
    shares = [measure_mean(flags, scored.lesions) for flags in (novel, refused, far)]
    shares.append(measure_mean(passed, scored.lesions[scored.is_malignant]))
    return [words(vars(value)) for value in (*measured.values(), *shares)]


def _alarms(subject: _Subject, held_out: Examples, outlines: list[np.ndarray]) -> None:
    """Says how many photos, as they are, are told as taken from too far away."""
    photos = (decode(subject.images.read(image_id)).pixels for image_id in held_out.rows["image_id"])
    far = np.array(["too_far" in check(pixels).codes for pixels in photos])
    (rate,) = rates({"as they are": far})
    largest = max((mask.mean() for mask, alarm in zip(outlines, far, strict=True) if alarm), default=0.0)
    print(
        f"As they are, {rate.flagged} of {rate.pictures} photos are too far, {rate.share:.2%} ({rate.low:.2%} to "
        f"{rate.high:.2%}); the largest of these lesions fills {largest:.1%}."
    )


if __name__ == "__main__":
    main()
