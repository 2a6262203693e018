"""A bundle's networks for other runtimes, with the numbers that make answers of what they say."""

from __future__ import annotations  # ml.segmentation.eight_bits, which one names, imports this package

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml import evaluate
from ml.bundle import Bundle, Member, sha256
from ml.classes import CLASSES
from ml.compare import side_by_side
from ml.data.examples import Examples
from ml.export import backends, guide, preparing
from ml.export.errors import ExportError
from ml.imaging.preprocess import Size, preprocess
from ml.prepare import prepared
from ml.runtime.convert import keras_model
from ml.runtime.ensemble import Ensemble
from ml.segmentation import eight_bits
from ml.synthetic import draw

__all__ = ["FLOAT_TOLERANCE", "INT8_TOLERANCE", "ExportError", "Exported", "export"]

FLOAT_TOLERANCE: Final = 0.001
"""The largest difference of a logit from Keras on `check_frames`, where what is left is the rounding of float32: up to
0.00002 for the members of the shipped release.
"""

INT8_TOLERANCE: Final = 2.0
"""For eight bits: finds a file that is wrong, not one that is worse, which shows on labelled images alone.
MobileNetV2 of the shipped release differs by up to 1.5, fitted to 40 photos or to 200; a file of zeros would
by 3, one of another of its members by 2.4.
"""

GREY_STEP: Final = 4
"""A view is resized, and rounded to whole grey levels. Two to three in a hundred pixels of a photo come out halfway
between two, and which of them a runtime takes hangs on its last bit: on 64 photos of HAM10000 that alone moved a logit
of the shipped release by up to 0.07, and a probability by up to 0.005. Of levels that are multiples of four none comes
out there, in views of the sizes that members have.
"""

REPRESENTATIVE: Final = 200
"""Images that ranges of activations are taken from."""


@dataclass(frozen=True)
class Exported:
    """One member's file, and by how much its logits differed at most from those of Keras."""

    member: Member
    file: str
    sha256: str
    difference: float
    tolerance: float


def export(
    bundle: Bundle,
    to: str,
    output: Path,
    cache: Path,
    *,
    int8: Path | None = None,
    test: Examples | None = None,
    advance: Callable[[], object] = lambda: None,
) -> tuple[list[Exported], dict[str, Any]]:
    """Writes each member of a bundle as it serves, the segmenter that blanks its frames where one does, `export.json`,
    `README.md` and the code that makes a frame to the folder `output`.

    `to` is `tflite`, `onnx` or `openvino`; `int8`, for tflite alone, a folder or ZIP file of representative images to
    quantise weights and activations by. Each file takes frames, uint8 (n, height, width, 3), and gives `logits`,
    `maps` and `features` as `ml.networks.members.serving` does. `test` are labelled images, of which those that the
    bundle has not seen and no range was taken from tell what the files lose against it. Given back are the files, and
    what `export.json` says. `cache` keeps OpenVINO networks; `advance` is called for each member, and once `test` has
    told.

    Each file is run on a few frames that are the same every time. Raises ExportError where its logits differ from those
    of Keras by more than the tolerance, where what is needed to write or run a file is not installed, or for `int8`
    with another runtime or without images; `export.json` is then not written. The files of an older export there, which
    its `export.json` names, are removed; raises ExportError for one that no export wrote, and as
    `ml.evaluate.measurable` for test images.
    """
    if int8 is not None and to != "tflite":
        raise ExportError(f"Eight bits are for tflite; {to} files are float32.")
    backends.require(to)
    tolerance = FLOAT_TOLERANCE if int8 is None else INT8_TOLERANCE
    representative, refused, seen, dropped = None, dict[str, str](), bundle.seen, 0
    if int8 is not None:
        read, prints, refused = backends.representative(int8, bundle.frame, REPRESENTATIVE)
        representative, seen = prepared(read, bundle.preparation), np.concatenate([seen, prints])
    if test is not None:
        evaluate.check_readable(test)
        test, dropped = evaluate.unseen(test, seen)
        if not len(test):
            or_int8 = "" if int8 is None else ", or --int8 took its ranges from,"
            raise evaluate.SeenError(f"The bundle has seen{or_int8} all {dropped} test images: name other images.")
    output.mkdir(parents=True, exist_ok=True)
    told = output / guide.NUMBERS
    _clear(told)
    frames = check_frames(bundle.frame)
    exported = []
    for member in bundle.members:
        target = output / f"{member.weights.stem}{backends.SUFFIXES[to]}"
        model = keras_model(member, bundle.frame)
        backends.write(to, member, bundle.frame, target, model=model, cache=cache, representative=representative)
        difference = backends.difference(model, backends.run(to, target, frames), frames)
        _require(target.name, difference, tolerance)
        exported.append(Exported(member, target.name, sha256(target), difference, tolerance))
        advance()
    segmenter = None
    if name := bundle.preparation.segmenter:
        segmenter = preparing.write_segmenter(name, to, output, frames, int8=int8 is not None)
        _require(segmenter["file"], segmenter["largest_difference_of_logits"] or 0.0, FLOAT_TOLERANCE)
    for file in preparing.code(bundle.preparation):
        shutil.copy(file, output)
    numbers = guide.numbers(bundle, to, [vars(one) for one in exported], segmenter)
    if representative is not None:
        numbers["representative"] = {"images": len(representative), "refused": refused}
    if test is not None:
        blank = None
        if segmenter and int8 is not None:
            _, height, width, _ = segmenter["input"]["shape"]
            blank = eight_bits.blanking(output / segmenter["file"], (width, height))
        files = [output / one.file for one in exported]
        numbers["measured"] = _measured(bundle, to, files, test, dropped=dropped, cache=cache, blank=blank)
        advance()
    (output / guide.TEXT).write_text(guide.text(bundle, numbers))
    told.write_text(json.dumps(numbers, indent=1) + "\n")
    return exported, numbers


def _measured(
    bundle: Bundle,
    to: str,
    files: Sequence[Path],
    test: Examples,
    *,
    dropped: int,
    cache: Path,
    blank: eight_bits.Frames | None,
) -> dict[str, Any]:
    """What the files answer to test images, of which so many were `dropped`, beside the bundle in float32: by the
    networks alone, since the check for a lesion is not exported. `blank` is the segmenter's 8-bit file, where that
    blanks the frames.
    """
    frames = prepared(test.pixels, bundle.preparation)
    exact = Ensemble(bundle.members, bundle.frame, cache, precision="f32").in_batches(frames).logits
    if blank is not None:
        frames = blank(prepared(test.pixels, replace(bundle.preparation, segmenter="")))
    given = np.stack([backends.run(to, file, frames)["logits"] for file in files], axis=1)
    answers = {
        name: evaluate.score(logits, test, bundle.calibration, bundle.taxonomy)
        for name, logits in (("bundle", exact), ("exported", given))
    }
    return {**evaluate.counts(answers["bundle"], dropped), "rows": side_by_side(answers)}


def _require(name: str, difference: float, tolerance: float) -> None:
    """Raises ExportError where the logits of a file lie further than that from those of Keras."""
    if not difference <= tolerance:
        raise ExportError(
            f"{name} is not what it should be: its logits differ from those of Keras by up to {difference:.3g}, and "
            f"{tolerance:g} is allowed."
        )


def _clear(told: Path) -> None:
    """Removes what an older export wrote beside its `export.json`, and that itself."""
    if not told.exists():
        return
    try:
        known = json.loads(told.read_text())
        members = [*known["members"], *([known["segmenter"]] if known.get("segmenter") else [])]
        networks = [told.with_name(Path(member["file"]).name) for member in members]
    except (ValueError, KeyError, TypeError):
        raise ExportError(f"{told} is not of an export, and would be written over: say another --output.") from None
    weights = [network.with_suffix(backends.WEIGHTS) for network in networks]
    code = (preparing.file(module).name for module in (*preparing.ALWAYS, *preparing.SOMETIMES))
    beside = (guide.TEXT, guide.NUMBERS, *code)
    for file in (*networks, *weights, *(told.with_name(name) for name in beside)):
        file.unlink(missing_ok=True)


def check_frames(size: Size) -> np.ndarray:
    """The frames that files are checked on: a synthetic lesion in the manner of each class, uint8 (7, height, width,
    3), in grey levels that are multiples of GREY_STEP.
    """
    frames = np.stack([preprocess(draw(code, seed), size) for seed, code in enumerate(CLASSES)])
    return frames // GREY_STEP * GREY_STEP
