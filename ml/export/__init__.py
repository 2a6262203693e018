"""A bundle's networks for other runtimes, with the numbers that make answers of what they say."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ml.bundle import Bundle, Member, sha256
from ml.classes import CLASSES
from ml.convert import keras_model
from ml.ensemble import OUTPUTS
from ml.export import backends, guide
from ml.export.errors import ExportError
from ml.imaging import field, light
from ml.imaging.preprocess import Size, preprocess
from ml.prepare import prepared
from ml.synthetic import draw

if TYPE_CHECKING:
    import keras

__all__ = ["FLOAT_TOLERANCE", "INT8_TOLERANCE", "ExportError", "Exported", "export"]

FLOAT_TOLERANCE: Final = 0.001
"""The largest difference of a logit from Keras on `check_frames`, where what is left is the rounding of float32: up to
0.00002 for the members of the shipped release.
"""

INT8_TOLERANCE: Final = 1.0
"""For eight bits: finds a file that is wrong, not one that is worse. Measure that on labelled images."""

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
    advance: Callable[[], object] = lambda: None,
) -> list[Exported]:
    """Writes each member of a bundle as it serves, `export.json`, `README.md` and the code that completes the black
    around a round field to the folder `output`.

    `to` is `tflite`, `onnx` or `openvino`; `int8`, for tflite alone, a folder or ZIP file of representative images to
    quantise weights and activations by. Each file takes frames, uint8 (n, height, width, 3), and gives `logits`,
    `maps` and `features` as `ml.members.serving` does. `cache` keeps OpenVINO networks; `advance` is called once for
    each member.

    Each file is run on a few frames that are the same every time. Raises ExportError where its logits differ from those
    of Keras by more than the tolerance, where what is needed to write or run a file is not installed, or for `int8`
    with another runtime or without images; `export.json` is then not written. The files of an older export there, which
    its `export.json` names, are removed; raises ExportError for one that no export wrote.
    """
    if int8 is not None and to != "tflite":
        raise ExportError(f"Eight bits are for tflite; {to} files are float32.")
    backends.require(to)
    tolerance = FLOAT_TOLERANCE if int8 is None else INT8_TOLERANCE
    representative = None
    if int8 is not None:
        representative = prepared(backends.representative(int8, bundle.frame, REPRESENTATIVE), bundle.preparation)
    output.mkdir(parents=True, exist_ok=True)
    told = output / guide.NUMBERS
    _clear(told)
    frames = check_frames(bundle.frame)
    exported = []
    for member in bundle.members:
        target = output / f"{member.weights.stem}{backends.SUFFIXES[to]}"
        model = keras_model(member, bundle.frame)
        backends.write(to, member, bundle.frame, target, model=model, cache=cache, representative=representative)
        difference = _difference(model, backends.run(to, target, frames), frames)
        if not difference <= tolerance:
            raise ExportError(
                f"{target.name} is not what it should be: its logits differ from those of Keras by up to "
                f"{difference:.3g}, and {tolerance:g} is allowed."
            )
        exported.append(Exported(member, target.name, sha256(target), difference, tolerance))
        advance()
    shutil.copyfile(field.__file__, output / guide.FIELD)
    shutil.copyfile(light.__file__, output / guide.LIGHT)
    (output / guide.TEXT).write_text(guide.text(bundle, to, [one.file for one in exported]))
    told.write_text(json.dumps(guide.numbers(bundle, to, [vars(one) for one in exported]), indent=1) + "\n")
    return exported


def _clear(told: Path) -> None:
    """Removes what an older export wrote beside its `export.json`, and that itself."""
    if not told.exists():
        return
    try:
        networks = [told.with_name(Path(member["file"]).name) for member in json.loads(told.read_text())["members"]]
    except (ValueError, KeyError, TypeError):
        raise ExportError(f"{told} is not of an export, and would be written over: say another --output.") from None
    weights = [network.with_suffix(backends.WEIGHTS) for network in networks]
    beside = (guide.TEXT, guide.FIELD, guide.LIGHT, guide.NUMBERS)
    for file in (*networks, *weights, *(told.with_name(name) for name in beside)):
        file.unlink(missing_ok=True)


def check_frames(size: Size) -> np.ndarray:
    """The frames that files are checked on: a synthetic lesion in the manner of each class, uint8 (7, height, width,
    3), in grey levels that are multiples of GREY_STEP.
    """
    frames = np.stack([preprocess(draw(code, seed), size) for seed, code in enumerate(CLASSES)])
    return frames // GREY_STEP * GREY_STEP


def _difference(model: "keras.Model", answers: dict[str, np.ndarray], frames: np.ndarray) -> float:
    """The largest difference of a logit; infinite where an output is missing, has another shape, or is no number."""
    wanted = {name: np.asarray(value) for name, value in model(frames, training=False).items()}
    shapes_fit = all(name in answers and answers[name].shape == wanted[name].shape for name in OUTPUTS)
    if not shapes_fit or not all(np.isfinite(answers[name]).all() for name in OUTPUTS):
        return np.inf
    return float(np.abs(answers["logits"] - wanted["logits"]).max())
