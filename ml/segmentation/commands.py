"""The commands of `python -m ml` that fit and measure a segmenter."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from ml.cli import options as shared
from ml.cli.options import Commands, command

TRAIN: Final = """
The masks are read as they are published: <image_id>_segmentation.png in a ZIP file or folder whose name says mask or
segmentation. Run it again to go on after an interruption.

Example:
  python -m ml segment-train --data HAM10000 --backbones imagenet --work runs --output ml/segmenters/20270101-ham10000
"""

EVALUATE: Final = """
Prints the Jaccard index with the masks of the test split, and how often it is too low, as JSON, with 95 % intervals by
a bootstrap over lesions; images that the segmenter has seen are left out and counted.

Example:
  python -m ml segment-evaluate --data HAM10000
"""

QUANTISE: Final = """
Writes segmenter.int8.tflite beside the segmenter's weights: ranges from 256 train images, and the Jaccard index on the
validation split beside that of the weights. The recipe mobilenetv2-edge and `export --to tflite --int8` take that file
along. Needs ai-edge-litert.

Example:
  python -m ml segment-quantise --data HAM10000
"""

DATA: Final = "folder with HAM10000_metadata.csv, its images and its masks"
SEGMENTER: Final = "segmenter folder (default: the shipped one)"


def add_commands(commands: "Commands[Any]") -> None:
    """Adds `segment-train`, `segment-evaluate` and `segment-quantise`."""
    text = "Fit a network that outlines lesions to HAM10000's masks."
    train = command(commands, "segment-train", _train, text, TRAIN)
    shared.path(train, "--data", DATA)
    shared.path(train, "--backbones", "folder with mobilenet_v2_imagenet_notop.weights.h5")
    shared.path(train, "--work", "folder for checkpoints")
    shared.path(train, "--output", "the segmenter to make; its last part is its name")
    train.add_argument("--epochs", type=shared.one_or_more, default=8, help="default 8")
    train.add_argument("--samples", type=shared.one_or_more, help="images drawn in an epoch (default all)")
    shared.seed(train)
    shared.progress(train)

    text = "Measure a segmenter on images that it has never seen."
    evaluate = command(commands, "segment-evaluate", _evaluate, text, EVALUATE)
    evaluate.add_argument("--segmenter", type=Path, help=SEGMENTER)
    shared.path(evaluate, "--data", DATA)

    text = "Write a segmenter in 8 bits, for small devices."
    quantise = command(commands, "segment-quantise", _quantise, text, QUANTISE)
    quantise.add_argument("--segmenter", type=Path, help=SEGMENTER)
    shared.path(quantise, "--data", DATA)


def _train(options: argparse.Namespace) -> None:
    from ml.progress import progress_for
    from ml.segmentation.fitting import Settings
    from ml.segmentation.train import Run, train

    settings = Settings(epochs=options.epochs, samples=options.samples, seed=options.seed)
    run = Run(options.data, options.backbones, options.work, options.output, settings)
    train(run, progress_for(options.progress))


def _evaluate(options: argparse.Namespace) -> None:
    from ml.segmentation import masks, measure
    from ml.segmentation.segmenter import Segmenter, shipped

    segmenter = Segmenter(options.segmenter or shipped())
    test = masks.read(options.data, ("test",), lambda told: sys.stderr.write(f"Warning: {told}\n"))["test"]
    sys.stdout.write(json.dumps(measure.evaluate(segmenter, test), indent=1) + "\n")


def _quantise(options: argparse.Namespace) -> None:
    from ml.export import backends
    from ml.segmentation.segmenter import shipped

    backends.require("tflite")
    from ml.segmentation import eight_bits

    told = eight_bits.quantise(options.segmenter or shipped(), options.data)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
