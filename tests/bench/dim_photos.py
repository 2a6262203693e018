"""What little light costs, and what brighter frames win back: `python -m tests.bench.dim_photos --data <HAM10000>`.

The validation split, as it is and with its pixels multiplied by less than one, in frames as they would be without
`ml.imaging.light` and as they are. "Let pass" are the malignant lesions that the service would have called harmless:
below the referral threshold, and refused neither by the quality check nor as no lesion. The last two rows take more of
green and blue, in the manner of a darker skin, which a multiplication is not.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

import ml.data
from ml import bundle, evaluate
from ml.bundle import Bundle
from ml.cli.options import DEFAULT_CACHE
from ml.data import examples, splits
from ml.data.examples import Examples
from ml.imaging.decode import decode
from ml.imaging.field import completed
from ml.imaging.preprocess import framed, preprocess, scaled
from ml.imaging.quality import check
from ml.metrics import METRICS, measure, measure_mean
from ml.metrics.measured import words
from ml.runtime.ensemble import Ensemble

GAINS: Final = {
    "as they are": (1.0, 1.0, 1.0),
    "× 0.7": (0.7, 0.7, 0.7),
    "× 0.5": (0.5, 0.5, 0.5),
    "× 0.35": (0.35, 0.35, 0.35),
    "× 0.65, 0.58, 0.55": (0.65, 0.58, 0.55),
    "× 0.45, 0.38, 0.35": (0.45, 0.38, 0.35),
}
SHOWN: Final = ("malignant_auc", "sensitivity", "specificity")


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of HAM10000")
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    options = parser.parse_args()
    model = bundle.load(options.bundle or bundle.shipped())
    dataset = ml.data.read(options.data)
    rows = replace(dataset, table=splits.assign(dataset.table)).split("validation")
    held_out = examples.load(rows, dataset.images, model.frame)
    photos = [decode(dataset.images.read(image_id)).pixels for image_id in held_out.rows["image_id"]]
    ensemble = evaluate.ready(model.members, DEFAULT_CACHE, model.frame)
    print(f"{model.name}, {len(held_out)} validation images of {len(set(held_out.lesions))} lesions")
    print("| pixels | frames | malignant AUC | sensitivity | specificity | refused | let pass |")
    print("|---|---|---|---|---|---|---|")
    for name, gains in GAINS.items():
        dim = [np.round(photo * np.array(gains)).astype(np.uint8) for photo in photos]
        with ThreadPoolExecutor(2) as pool:
            refused = np.array(list(pool.map(lambda photo: bool(check(photo).codes), dim)))
            as_they_are = [framed(completed(scaled(photo, model.frame)), model.frame) for photo in dim]
            lit = list(pool.map(lambda photo: preprocess(photo, model.frame), dim))
        for kind, frames in {"as they are": as_they_are, "brightened": lit}.items():
            told = _row(model, ensemble, held_out, np.stack(frames), refused)
            print(f"| {name} | {kind} | {' | '.join(told)} |", flush=True)


def _row(model: Bundle, ensemble: Ensemble, held_out: Examples, frames: np.ndarray, refused: np.ndarray) -> list[str]:
    """What the release says of the frames, and what becomes of the photos in the service."""
    answers = ensemble.in_batches(frames)
    scored = evaluate.score(answers.logits, held_out, model.calibration, model.taxonomy)
    passed = (~scored.referred & ~refused & ~model.novelty.is_novel(answers.features))[scored.is_malignant]
    measured = measure(scored, metrics={name: METRICS[name] for name in SHOWN})
    shares = [measure_mean(refused, scored.lesions), measure_mean(passed, scored.lesions[scored.is_malignant])]
    return [words(vars(value)) for value in (*measured.values(), *shares)]


if __name__ == "__main__":
    main()
