"""A recipe's network in 8 bits, for small devices: trained on with the rounding that serves, written as `.tflite` into
the bundle's folder, with the segmenter that blanks its frames, and measured against the float network that it was.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from ml import calibration, evaluate, training
from ml.bundle import Member, sha256
from ml.classes import Taxonomy
from ml.compare import side_by_side
from ml.data.examples import Examples
from ml.export import backends
from ml.export.errors import ExportError
from ml.files import complete
from ml.imaging.preprocess import whole
from ml.metrics import METRICS, Metric, Scored, balanced_accuracy, malignant_auc
from ml.metrics.measured import words
from ml.networks import members, weights
from ml.progress import Progress
from ml.quantisation import fake, folding, tflite
from ml.quantisation.folding import Pixels
from ml.recipes import fitting, small_segmenter
from ml.recipes.recipe import Made
from ml.recipes.sides import Sides
from ml.runtime import convert
from ml.stack import softmax
from ml.training import Settings

EPOCHS: Final = 4
"""At most: the network only has to learn to live with rounding."""

SLOWER: Final = 10
"""By how much the learning rate is less than that of the float network."""

REPRESENTATIVE: Final = 256
"""Train images, of each class as often, that ranges of activations are taken from."""

TIMED: Final = 100
THREADS: Final = (1, 2)

LEVELS: Final = 1.0
"""By how many levels of the answer the file's logits may differ in the mean from those of the network that it was made
of: a sound one by 0.3, one with a layer's weights a tenth off by 1.7 or more (docs/recipes.md). The largest difference
is no measure: where blanked skin lies between two levels, integers and floats round all of it apart, and the answer to
one image in some hundreds moves by many.
"""

SHOWN: Final[Mapping[str, Metric]] = {"balanced_accuracy": balanced_accuracy, "malignant_auc": malignant_auc}

WITH_SEGMENTER: Final = "with_segmenter"
FACTS: Final = "eight_bits.json"
AGREEMENT: Final = "agreement.json"
TRAINED: Final = "int8.tflite"
ROUNDED: Final = "rounded.tflite"


def require() -> None:
    """Raises ExportError where Keras does not run on TensorFlow, ai-edge-litert is not installed, or the segmenter that
    ships has no 8-bit file.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"This recipe ends in 8 bits, which need TensorFlow, and Keras runs on {keras.backend.backend()}: "
            "run it with KERAS_BACKEND=tensorflow."
        )
    backends.require("tflite")
    small_segmenter.require()


def in_eight_bits(made: Made) -> list[str]:
    """An extra for recipes of one member: `<member>.int8.tflite`, and `eight_bits.json` with its calibration and what
    was measured: on the validation and test side against the float network, and against the float network merely
    rounded, in milliseconds and bytes. Where a segmenter blanks the frames, its 8-bit file too, and the same of both.

    Raises ExportError where the file does not answer as the network that it was made of.
    """
    (member,) = made.members
    used = fitting.settings(made.work, member.name)
    settings = replace(used, epochs=min(used.epochs, EPOCHS), learning_rate=used.learning_rate / SLOWER)
    work = made.work / "eight_bits" / sha256(member.weights)[:16]
    make(member, made.sides, settings, work, made.progress)

    made.progress.stage("measuring 8 bits")
    target = made.folder / f"{member.name}.{TRAINED}"
    shutil.copyfile(work / TRAINED, target)
    agrees = json.loads((work / AGREEMENT).read_text())
    measured = _measured(member, made, work, small_segmenter.beside(made))
    facts = {"file": target.name, "sha256": sha256(target), "agreement": agrees, **measured}
    (made.folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
    return _sentences(facts, member, settings, len(made.sides.train))


def make(member: Member, sides: Sides, settings: Settings, work: Path, progress: Progress) -> None:
    """Trains a member on with rounding and leaves two files in `work`: that network, and for comparison the member
    merely rounded. Files that are there are kept, an interrupted training goes on.

    Raises ExportError where a file does not answer as its network.
    """
    if (work / AGREEMENT).exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    model = members.build(member.name, member.size, convert.classes(member.weights))
    weights.load(model, member.weights)
    pixels, network = folding.pixels(model), folding.folded(model)
    few = whole(_of_each_class(sides.train, settings.seed), member.size)
    tflite.write(network, pixels, work / ROUNDED, few)

    progress.stage(f"training {member.name} in 8 bits")
    rounding = fake.fake_quantised(network, fake.ranges(network, pixels(few)))
    trainee = fake.trainee(rounding, pixels, f"{member.name}_8bit")
    training.fit(trainee, sides.train, sides.validation, settings, progress, work=work / "checkpoint")
    settled = fake.settled(rounding)
    tflite.write(settled, pixels, work / TRAINED)
    agrees = agreement(work / TRAINED, settled, pixels, few)
    with complete(work / AGREEMENT) as file:
        file.write((json.dumps(agrees) + "\n").encode())
    keras.utils.clear_session()


def agreement(file: Path, network: keras.Model, pixels: Pixels, views: np.ndarray) -> dict[str, float]:
    """How far the logits of a file lie from those of the network of `ml.quantisation.fake.settled` that it was made of,
    on views, uint8 (n, height, width, 3): `mean` and `largest`, and for scale one `level` of the rounded answer.

    Raises ExportError where the mean is more than LEVELS.
    """
    answer = network.get_layer("logits_8bit")
    level = (answer.high - answer.low) / 255
    distance = np.abs(tflite.answers(file, views) - network.predict(pixels(views), batch_size=fake.BATCH, verbose=0))
    mean = float(distance.mean())
    if not mean <= LEVELS * level:
        raise ExportError(
            f"The logits of {file.name} differ from its network's by {mean:.3g} in the mean, where its answer has "
            f"levels of {level:.3g}: it was not written as it should be."
        )
    return {"images": len(views), "mean": mean, "largest": float(distance.max()), "level": level}


def _of_each_class(train: Examples, seed: int) -> np.ndarray:
    chance = 1 / np.bincount(train.labels)[train.labels]
    count = min(REPRESENTATIVE, len(train))
    rows = np.random.default_rng(seed).choice(len(train), count, replace=False, p=chance / chance.sum())
    return train.pixels[rows]


def _measured(member: Member, made: Made, work: Path, segmenter: Path | None) -> dict[str, Any]:
    """Of both files, how they compare with the float network; of the trained one, its calibration, size and speed; and
    of the trained one on frames that the 8-bit file of a segmenter blanked, all of that but the calibration.
    """
    float_network = evaluate.ready([member], made.work / "networks")
    sides = {"validation": made.sides.validation, "test": made.test}
    few = made.test.take(np.arange(min(TIMED, len(made.test))))
    logits: dict[str, np.ndarray] = {}
    compared: dict[str, Any] = {}
    for side, examples in sides.items():
        parent = _named(float_network.in_batches(examples.pixels).logits[:, 0], examples, made.taxonomy)
        given = whole(examples.pixels, member.size)
        ways = {"trained": (work / TRAINED, given), "rounded": (work / ROUNDED, given)}
        if segmenter:
            blanked = small_segmenter.blanking(segmenter, THREADS[-1])(small_segmenter.before(examples, made))
            ways[WITH_SEGMENTER] = (work / TRAINED, whole(blanked, member.size))
        for way, (file, views) in ways.items():
            said = tflite.answers(file, views, threads=THREADS[-1])
            logits.setdefault(f"{way} {side}", said[:, None])
            answers = {"float": parent, "int8": _named(said, examples, made.taxonomy)}
            compared.setdefault(way, {})[side] = side_by_side(answers, SHOWN, made.draws)

    validation = made.sides.validation
    said, seed = logits["trained validation"], fitting.settings(made.work, member.name).seed
    own = calibration.fit(said, validation.labels, validation.lesions, seed, made.taxonomy)
    scored = evaluate.score(logits["trained test"], made.test, own, made.taxonomy)
    timed = whole(few.pixels, member.size)
    return {
        "bytes": (work / TRAINED).stat().st_size,
        "float16_bytes": member.weights.stat().st_size,
        "input": {"dtype": "uint8", "shape": [1, member.size[1], member.size[0], 3]},
        "classes": list(made.taxonomy.codes),
        "stack": {"coefficients": own.stack.coefficients.tolist(), "intercept": own.stack.intercept.tolist()},
        "decision": {"bias": own.decision.bias.tolist(), "temperature": own.decision.temperature},
        "thresholds": own.thresholds,
        "milliseconds": {
            str(count): tflite.milliseconds(tflite.opened(work / TRAINED, count), timed) for count in THREADS
        },
        "segmenter": small_segmenter.facts(segmenter, small_segmenter.before(few, made), THREADS)
        if segmenter
        else None,
        "most_probable_class_named": compared,
        "calibrated_test": side_by_side({"float": made.scored, "int8": scored}, METRICS, made.draws),
    }


def _named(logits: np.ndarray, examples: Examples, taxonomy: Taxonomy) -> Scored:
    """The most probable class, without any calibration: nothing in it was fitted to these images."""
    return Scored(softmax(logits), examples.labels, examples.lesions, 0.5, taxonomy)


def _sentences(facts: Mapping[str, Any], member: Member, settings: Settings, images: int) -> list[str]:
    width, height = member.size
    one, two = (facts["milliseconds"][str(count)] for count in THREADS)
    compared, agrees, segmenter = facts["most_probable_class_named"], facts["agreement"], facts["segmenter"]
    return [
        f"[{facts['file']}]({facts['file']}) is {member.name} in 8 bits, for small devices: "
        f"{facts['bytes'] / 1e6:.2f} MB (its float16 weights: {facts['float16_bytes'] / 1e6:.2f} MB), {one:.1f} ms an "
        f"image with one thread and {two:.1f} ms with two, where this was measured. It takes uint8 RGB of "
        f"{width} x {height} pixels, prepared as above; {FACTS} has its calibration and more measurements.",
        f"For it, the network was trained on with rounding: {settings.epochs} epochs of {settings.samples or images} "
        f"images, learning rate {settings.learning_rate:g}. On {agrees['images']} of them the file's logits differ "
        f"from those of the network by {agrees['mean']:.2g} in the mean and {agrees['largest']:.2g} at most; one level "
        f"of the answer is {agrees['level']:.2g}. {_told(compared['trained']['test'])}",
        f"The float network merely rounded: {_told(compared['rounded']['test'])}",
        *([_both(facts, segmenter, compared[WITH_SEGMENTER]["test"])] if segmenter else []),
    ]


def _both(facts: Mapping[str, Any], segmenter: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    blanking = [segmenter["milliseconds"][str(count)] for count in THREADS]
    one, two = (facts["milliseconds"][str(count)] + taken for count, taken in zip(THREADS, blanking, strict=True))
    return (
        f"On a device [{segmenter['file']}]({segmenter['file']}), {segmenter['name']} in 8 bits, blanks the skin: "
        f"{segmenter['bytes'] / 1e6:.2f} MB, {blanking[0]:.1f} ms from a frame to one without skin with one thread and "
        f"{blanking[1]:.1f} ms with two. So both files together have {(facts['bytes'] + segmenter['bytes']) / 1e6:.2f} "
        f"MB and take {one:.1f} ms an image with one thread, {two:.1f} ms with two; `python -m ml export --to tflite` "
        f"writes the code around them. Both in 8 bits, against the float ones: {_told(rows)}"
    )


def _told(rows: list[dict[str, Any]]) -> str:
    """Of the test side."""
    said = "; ".join(
        f"{row['metric'].replace('_', ' ')} {words(row['int8'])}, float {words(row['float'])}, difference "
        f"{words(row['difference'], sign='+')}"
        for row in rows
    )
    return f"On the test side, the most probable class named: {said}."
