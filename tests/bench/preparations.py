"""What hair removal and masking cost or gain, with the members as they are: `python -m tests.bench.preparations --data
<HAM10000>`.

Measured on the validation split, never on the test split: each way of preparing frames against none, on the images as
they are and with hairs drawn on them, as paired differences with 95 % intervals by lesion. The stack and the
thresholds were fitted to this split without preparation, so only large gains would say that a release should be
trained with it.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

import ml.data
from ml import bundle, evaluate
from ml.assess import artefacts, robustness
from ml.cli.options import DEFAULT_CACHE
from ml.data import examples, splits
from ml.data.examples import Examples
from ml.data.table import Dataset
from ml.imaging.decode import decode
from ml.imaging.preprocess import preprocess
from ml.metrics import Scored
from ml.metrics.measured import words
from ml.preparation import Preparation
from ml.prepare import prepared
from ml.segmentation.segmenter import shipped

WAYS: Final = {
    "hair removal": Preparation(remove_hair=True),
    "masking": Preparation(segmenter=shipped().name),
    "both": Preparation(remove_hair=True, segmenter=shipped().name),
}


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of HAM10000")
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parser.add_argument("--images", type=int, help="at most so many images (default: the whole split)")
    options = parser.parse_args()
    model = bundle.load(options.bundle or bundle.shipped())
    dataset = ml.data.read(options.data)
    dataset = replace(dataset, table=splits.assign(dataset.table))
    rows = dataset.split("validation")[: options.images]
    held_out = examples.load(rows, dataset.images, model.frame)
    ensemble = evaluate.ready(model.members, DEFAULT_CACHE, model.frame)

    def scored(frames: np.ndarray) -> Scored:
        return evaluate.score(ensemble.in_batches(frames).logits, held_out, model.calibration)

    print(f"{model.name}, {len(held_out)} validation images of {len(set(held_out.lesions))} lesions")
    print("| photos | frames | malignant AUC | sensitivity | specificity | balanced accuracy |")
    print("|---|---|---|---|---|---|")
    photos = {"as they are": held_out.pixels, "with drawn hair": _hairy(dataset, held_out, model.frame)}
    for photo, frames in photos.items():
        changed = {way: scored(prepared(frames, preparation)) for way, preparation in WAYS.items()}
        for cost in robustness.costs(scored(frames), changed):
            names = ("malignant_auc", "sensitivity", "specificity", "balanced_accuracy")
            differences = (words(vars(cost.difference[name]), sign="+") for name in names)
            print(f"| {photo} | {cost.change} | {' | '.join(differences)} |")


def _hairy(dataset: Dataset, held_out: Examples, frame: tuple[int, int]) -> np.ndarray:
    drawn = []
    for place, image_id in enumerate(held_out.rows["image_id"]):
        image = artefacts.hair(decode(dataset.images.read(image_id)).image, np.random.default_rng((0, place)))
        drawn.append(preprocess(image, frame))
    return np.stack(drawn)


if __name__ == "__main__":
    main()
