"""The commands that answer images or make a bundle ready to: `predict`, `export` and `warm`."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from ml.bundle import load
from ml.cli import labelled
from ml.cli import options as shared
from ml.cli.options import Commands, chosen, command
from ml.metrics.measured import label, unmeasured, words
from ml.progress import bar

PREDICT: Final = """
Folders are searched to any depth. An image's id is its file name without the extension; where two files share an id,
the first by path is answered and the others are named on standard error. Files whose names do not end as an image's
does are left out and counted there. A file that cannot be read is a row with an error, and the exit code stays 0; it
is 2 where there is no image at all, and where what is to be written would replace what is to be read.

Formats:
  csv       image, the calibrated probability of each class, malignant (P(malignant), the sum over the malignant ones),
            uncertainty (standard deviation of the members' own P(malignant)), diagnosis (the class named when all
            classes count the same), plausible (classes of a set that holds the true one nine times in ten),
            recognised (no: the picture is so unlike those of lesions, as one under glare can be, too, that it gets
            neither diagnosis nor advice; it does not say that there is no lesion), quality (why the service would
            refuse the picture, such as blurred or not_skin: then, too, there is neither diagnosis nor advice, and the
            numbers mean little; empty where it is good), advice, error. An id that begins with = + - or @ stands
            behind an apostrophe, so that no spreadsheet takes it for a formula
  json      all of that with the release, the bundle's hash, heatmaps, and a sentence for each refusal
  isic2018  the submission of the ISIC 2018 challenge, task 3: image,MEL,NV,BCC,AKIEC,BKL,DF,VASC. The challenge counts
            all classes the same, and so do these values: the largest is the diagnosis of the format csv, and they are
            not its probabilities. Pictures of poor quality are answered like all others. A file that cannot be read
            has 1/7 everywhere, which the challenge's scorer counts as undecided, and is named on standard error
Probabilities, malignant and uncertainty lie between 0 and 1.

Example:
  python -m ml predict --images photos.zip --output answers.csv --picture answers.png
  python -m ml predict --images ISIC2018_Task3_Test_Input --output submission.csv --format isic2018
"""

EXPORT: Final = """
Writes one file for each member, as it serves: from frames, uint8 RGB (n, height, width, 3), to logits (n, classes),
class activation maps and features. export.json and README.md beside them hold the numbers that turn the members'
logits into calibrated probabilities, and how. field.py completes the black around a dermatoscope's round field, and
light.py brightens a dim photo: both belong to every frame, in the order that README.md gives. Where the bundle takes
out hairs or blanks the skin, so do hair.py, outline.py, focus.py and the segmenter's network, which lie there then;
with --int8 that is the file that segment-quantise wrote. Each file that is written is run on a few frames and compared
with Keras: a difference of logits beyond the stated tolerance ends the command with exit code 1 and without
export.json. That finds a wrong file, not a worse one, as eight bits may be. So --data names labelled images: those of
the test split that neither the bundle nor --int8 has seen are answered by both, and how much the files differ in each
metric is printed with its 95 % interval by lesion, and told in export.json and README.md. --split all takes every image
of --data, of a data set that the bundle knows nothing of.

Example:
  python -m ml export --to onnx --output exported
  python -m ml export --to tflite --int8 photos --output exported --data HAM10000
"""

WARM: Final = """
The first load of new weights converts them, which takes seconds and needs TensorFlow; afterwards a load takes less
than a second.

Example:
  python -m ml warm --bundle ml/bundles/20261122-release-2
"""


def add_commands(commands: "Commands[Any]") -> None:
    """Adds the commands of this file."""
    predict = command(commands, "predict", _predict, "Predict every image of a folder or ZIP file.", PREDICT)
    shared.bundle(predict)
    shared.path(predict, "--images", "folder, ZIP or HDF5 file")
    shared.path(predict, "--output", "file to write; among --images no name that an image could have")
    predict.add_argument("--format", choices=("csv", "isic2018", "json"), default="csv", help="default csv")
    text = "PNG or JPEG to draw too: the first 60 images, each with its P(malignant) and diagnosis"
    predict.add_argument("--picture", type=Path, help=text)
    shared.cache(predict)

    export = command(commands, "export", _export, "Write a bundle's networks for another runtime.", EXPORT)
    shared.bundle(export)
    export.add_argument("--to", choices=("tflite", "onnx", "openvino"), required=True, help="the runtime")
    shared.path(export, "--output", "folder to write")
    text = "folder or ZIP file of representative images: with tflite, weights and activations in 8 bits"
    export.add_argument("--int8", type=Path, metavar="IMAGES", help=text)
    labelled.add_options(export, required=False, data=f"{labelled.DATA}: what the files lose is measured on it")
    shared.cache(export)

    warm = command(commands, "warm", _warm, "Convert a bundle's networks so that it loads at once.", WARM)
    shared.bundle(warm)
    shared.cache(warm)


def _predict(options: argparse.Namespace) -> None:
    from ml.cli.targets import require_targets
    from ml.data.images import ImageStore
    from ml.data.left_out import named
    from ml.predict import predict
    from ml.predict.sources import image_ids, left_out, repeated
    from ml.runtime import Runtime

    require_targets(options.images, options.output, options.picture)
    images = ImageStore(options.images)
    if others := left_out(options.images):
        sys.stderr.write(f"Files left out for the endings of their names: {named(others)}\n")
    count = len(image_ids(images))
    runtime = Runtime(chosen(options), options.cache)
    with bar("predicting", count) as advance:
        outcome = predict(runtime, images, options.output, options.format, advance, picture=options.picture)
    for image_id, paths in repeated(options.images).items():
        unanswered = f"{', '.join(paths[1:])} {'is' if len(paths) == 2 else 'are'} not"
        sys.stderr.write(f"{image_id}: {len(paths)} files have this id; {paths[0]} is answered, {unanswered}.\n")
    for image_id, refusal in outcome.refused.items():
        sys.stderr.write(f"{image_id}: {refusal.message} ({refusal.code})\n")
    sys.stderr.write(
        f"{count} image{'s' * (count != 1)}, {len(outcome.refused)} refused, {len(outcome.poor)} that the service "
        f"would refuse for their quality, by {runtime.bundle.name} {runtime.computes}: {options.output}\n"
    )


def _export(options: argparse.Namespace) -> None:
    bundle = load(chosen(options))
    test = labelled.examples(labelled.read(options, bundle), bundle.frame) if options.data else None
    from ml.data import left_out
    from ml.export import export  # after what can be wrong with the bundle: it greets for TensorFlow

    with bar("exporting", len(bundle.members) + bool(test)) as advance:
        exported, told = export(
            bundle, options.to, options.output, options.cache, int8=options.int8, test=test, advance=advance
        )
    if unread := left_out.unreadable(told.get("representative", {}).get("refused", {})):
        sys.stderr.write(f"{unread}\n")
    for member in exported:
        sys.stderr.write(
            f"{member.file}: logits within {member.difference:.2g} of Keras ({member.tolerance:g} allowed)\n"
        )
    if measured := told.get("measured"):
        labelled.show(
            f"{bundle.name} and what was exported: {labelled.counted(measured, 'it or --int8')}",
            ("metric", "bundle", "exported", "difference"),
            (
                (label(row["metric"]), words(row["bundle"]), words(row["exported"]), words(row["difference"], sign="+"))
                for row in measured["rows"]
            ),
            unmeasured(measured["images_of_class"]),
        )
    elif options.int8:
        sys.stderr.write("What eight bits cost in accuracy was not measured: name labelled images with --data.\n")


def _warm(options: argparse.Namespace) -> None:
    from ml.runtime import convert

    bundle = load(chosen(options))
    converted = convert.warm(bundle.members, bundle.frame, options.cache)
    sys.stderr.write(f"Converted: {', '.join(member.name for member in converted) or 'nothing, the cache was warm'}.\n")
