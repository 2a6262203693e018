"""The commands of `python -m ml` that fit and measure a segmenter."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_commands(commands: "argparse._SubParsersAction[Any]") -> None:
    """Adds `segment-train` and `segment-evaluate`; each sets `run`, a function of the parsed options."""
    text = "Fit a network that outlines lesions to HAM10000's masks. Run it again to go on after an interruption."
    train = commands.add_parser("segment-train", help=text, description=text)
    train.set_defaults(run=_train)
    _path(train, "--data", "folder with HAM10000_metadata.csv, its images and its masks")
    _path(train, "--backbones", "folder with mobilenet_v2_imagenet_notop.weights.h5")
    _path(train, "--work", "folder for checkpoints")
    _path(train, "--output", "the segmenter to make; its last part is its name")
    train.add_argument("--epochs", type=int, default=8, help="default 8")
    train.add_argument("--samples", type=int, help="images drawn in an epoch (default all)")
    train.add_argument("--seed", type=int, default=0, help="default 0")
    train.add_argument("--progress", choices=("text", "json"), default="text", help="json: one object a line")

    text = "Measure a segmenter on the test split of HAM10000, on unseen images only."
    evaluate = commands.add_parser("segment-evaluate", help=text, description=text)
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("--segmenter", type=Path, help="segmenter folder (default: the shipped one)")
    _path(evaluate, "--data", "folder with HAM10000_metadata.csv, its images and its masks")


def _path(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(name, type=Path, required=True, help=text)


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
    test = masks.read(options.data, ("test",))["test"]
    sys.stdout.write(json.dumps(measure.evaluate(segmenter, test), indent=1) + "\n")
