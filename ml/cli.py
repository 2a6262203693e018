"""The arguments of `python -m ml` and what each command calls."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ml.bundle import shipped
from ml.progress import bar, progress_for

DEFAULT_CACHE: Final = Path(os.environ.get("RUNTIME_CACHE") or Path.home() / ".cache" / "lesionlens")
MEMBERS: Final = ("mobilenet_v2", "efficientnet_lite0", "mobilenet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not hasattr(options, "progress"):
            raise
        code = getattr(error, "code", None) or _code(type(error).__name__)
        progress_for(options.progress).error(str(code), str(error))
        return 1
    return 0


def _code(name: str) -> str:
    """`BundleError` as `bundle_error`: a stable code for an error that has none of its own."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml", description="Train, evaluate and run the models of LesionLens."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    train = command("train", _train, "Train a first bundle on HAM10000. Run it again to go on after an interruption.")
    _path(train, "--data", "folder with HAM10000_metadata.csv and its images, as folders or ZIP files")
    _path(train, "--backbones", "folder with <member>_imagenet_notop.weights.h5 or .keras")
    _path(train, "--work", "folder for checkpoints and finished members")
    _path(train, "--output", "the bundle to make; its last part is the bundle's name")
    _fitting(train, members=",".join(MEMBERS), epochs=12)
    train.add_argument("--samples", type=int, default=4500, help="images drawn in an epoch (default 4500)")

    retrain = command("retrain", _retrain, "Fine-tune members of a bundle on new labels and compare by the gate.")
    _path(retrain, "--bundle", "the active bundle")
    _path(retrain, "--snapshot", "CSV with image_id, lesion_id, patient_id, dx, split, sha256")
    _path(retrain, "--images", "folder with <image_id>.jpg")
    _path(retrain, "--output", "receives bundle/ and gate.json")
    _cache(retrain)
    _fitting(retrain, members="mobilenet_v2", epochs=3)
    retrain.add_argument("--margin", type=float, default=0.05, help="loss of sensitivity allowed (default 0.05)")
    retrain.add_argument("--min-lesions", type=int, default=30, help="malignant and benign each (default 30)")

    evaluate = command("evaluate", _evaluate, "Measure a bundle on the test split of HAM10000, on unseen images only.")
    _bundle(evaluate)
    _path(evaluate, "--data", "folder with HAM10000_metadata.csv and its images")
    _cache(evaluate)

    predict = command("predict", _predict, "Predict every image of a folder or ZIP file.")
    _bundle(predict)
    _path(predict, "--images", "folder or ZIP file")
    _path(predict, "--output", "CSV file to write")
    _cache(predict)

    synthesize = command("synthesize", _synthesize, "Draw synthetic lesions with a table in HAM10000's layout.")
    synthesize.add_argument("--count", type=int, required=True, help="how many pictures")
    _path(synthesize, "--output", "folder to write")
    synthesize.add_argument("--seed", type=int, default=0, help="another seed draws others (default 0)")

    warm = command("warm", _warm, "Convert a bundle's networks so that it loads at once.")
    _bundle(warm)
    _cache(warm)
    return parser


def _path(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(name, type=Path, required=True, help=text)


def _bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")


def _cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder for converted networks")


def _fitting(parser: argparse.ArgumentParser, members: str, epochs: int) -> None:
    parser.add_argument("--members", default=members, help=f"comma-separated networks (default {members})")
    parser.add_argument("--epochs", type=int, default=epochs, help=f"default {epochs}")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--progress", choices=("text", "json"), default="text", help="json: one object a line")


def _train(options: argparse.Namespace) -> None:
    from ml import train
    from ml.training import Settings

    settings = Settings(epochs=options.epochs, samples=options.samples, seed=options.seed)
    members = options.members.split(",")
    run = train.Run(options.data, options.backbones, options.work, options.output, members, settings)
    train.train(run, progress_for(options.progress))


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


def _evaluate(options: argparse.Namespace) -> None:
    from ml import bundle
    from ml.data import examples, ham10000, splits
    from ml.evaluate import evaluate

    loaded = bundle.load(options.bundle or shipped())
    dataset = ham10000.read(options.data)
    table = splits.assign(dataset.table)
    test = table[table["split"] == "test"]
    with bar("reading", len(test)) as advance:
        read = examples.load(test, dataset.images, loaded.frame, advance)
    sys.stdout.write(json.dumps(evaluate(loaded, read, options.cache).as_dict(), indent=1) + "\n")


def _predict(options: argparse.Namespace) -> None:
    from ml.data.images import ImageStore
    from ml.predict import predict
    from ml.runtime import Runtime

    images = ImageStore(options.images)
    runtime = Runtime(options.bundle or shipped(), options.cache)
    with bar("predicting", len(images.ids())) as advance:
        refused = predict(runtime, images, options.output, advance)
    sys.stderr.write(f"{len(images.ids())} images, {refused} refused, by {runtime.name}: {options.output}\n")


def _synthesize(options: argparse.Namespace) -> None:
    from ml.synthetic import synthesize

    sys.stderr.write(f"{options.count} synthetic images: {synthesize(options.count, options.output, options.seed)}\n")


def _warm(options: argparse.Namespace) -> None:
    from ml import bundle, convert

    loaded = bundle.load(options.bundle or shipped())
    converted = convert.warm(loaded.members, loaded.frame, options.cache)
    sys.stderr.write(f"Converted: {', '.join(member.name for member in converted) or 'nothing, the cache was warm'}.\n")
