"""Writing a member's network for a runtime, and running what was written."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ml.bundle import Member
from ml.export.errors import ExportError
from ml.imaging.preprocess import Size
from ml.runtime import convert
from ml.runtime.cores import cores

if TYPE_CHECKING:
    import keras

SUFFIXES: Final = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
WEIGHTS: Final = ".bin"
"""Of the file beside an OpenVINO network."""

NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "tflite": ("ai_edge_litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
    "openvino": (),
}
"""Modules beyond those that serving needs; requirements-dev.txt pins them."""

OPSET: Final = 18

BATCH: Final = 32

Answer = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From frames, or from what else a network is given, to what it answers, by the name of the output."""


def require(to: str) -> None:
    """Raises ExportError where a module that writes or runs files for a runtime is missing."""
    absent = [name.replace("_", "-") for name in NEEDED[to] if importlib.util.find_spec(name) is None]
    if absent:
        raise ExportError(
            f"Exporting to {to} needs {' and '.join(absent)}, which serving does not: "
            f"pip install {' '.join(absent)} in the versions of requirements-dev.txt."
        )


def representative(source: Path, size: Size, count: int) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Frames of up to `count` images of a folder or ZIP file, evenly over its ids: uint8 (n, height, width, 3); their
    fingerprints, uint64 (n, 4); and which of these images could not be read, with a code of `ml.imaging.refusal`.

    Raises ExportError where none can be read, NoImagesError where there is none, and DataError for a source that is
    neither.
    """
    from ml.data.images import ImageStore
    from ml.imaging.decode import decode
    from ml.imaging.fingerprint import fingerprint
    from ml.imaging.preprocess import preprocess
    from ml.imaging.refusal import ImageRefused
    from ml.predict.sources import image_ids

    images = ImageStore(source)
    ids = image_ids(images)
    frames, prints, refused = [], [], {}
    for place in np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int):
        try:
            image = decode(images.read(ids[place])).image
        except ImageRefused as refusal:
            refused[ids[place]] = refusal.code
            continue
        frames.append(preprocess(image, size))
        prints.append(fingerprint(image))
    if not frames:
        raise ExportError(f"{source} holds no image that can be read, and eight bits need some to be fitted to.")
    return np.stack(frames), np.stack(prints), refused


def write(
    to: str,
    member: Member,
    frame: Size,
    target: Path,
    *,
    model: keras.Model,
    cache: Path,
    representative: np.ndarray | None,
) -> None:
    """Writes a member, whose serving Keras model is `model`, to `target`; see `ml.export.export`."""
    if to == "openvino":
        convert.warm([member], frame, cache)
        network = convert.network_path(member, frame, cache)
        for suffix in (SUFFIXES["openvino"], WEIGHTS):
            shutil.copyfile(network.with_suffix(suffix), target.with_suffix(suffix))
    else:
        write_model(to, model, target, representative)


def write_model(to: str, model: keras.Model, target: Path, representative: np.ndarray | None = None) -> None:
    """Writes a Keras model of one input, uint8 (n, …), and named outputs to `target`; in 8 bits, for tflite alone, with
    ranges from `representative`.
    """
    writers = {"openvino": _write_openvino, "onnx": _write_onnx}
    if to in writers:
        writers[to](model, target)
    else:
        _write_tflite(model, target, representative)


def run(to: str, target: Path, frames: np.ndarray) -> dict[str, np.ndarray]:
    """What a written file answers to frames, or to what else it is given, by the name of the output."""
    answer = {"openvino": _openvino, "onnx": _onnx, "tflite": _tflite}[to](target)
    parts = [answer(frames[at : at + BATCH]) for at in range(0, len(frames), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def difference(model: keras.Model, answers: dict[str, np.ndarray], given: np.ndarray) -> float:
    """The largest difference of a logit from a Keras model's; infinite where one of its outputs is missing, has another
    shape, or is no number.
    """
    wanted = {name: np.asarray(value) for name, value in model(given, training=False).items()}
    shapes_fit = all(name in answers and answers[name].shape == wanted[name].shape for name in wanted)
    if not shapes_fit or not all(np.isfinite(answers[name]).all() for name in wanted):
        return np.inf
    return float(np.abs(answers["logits"] - wanted["logits"]).max())


def _write_openvino(model: keras.Model, target: Path) -> None:
    import openvino

    function, _ = _traced(model)
    openvino.save_model(openvino.convert_model(function.get_concrete_function()), target, compress_to_fp16=False)


def _write_onnx(model: keras.Model, target: Path) -> None:
    import tf2onnx

    function, signature = _traced(model)
    tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET, output_path=str(target))


def _traced(model: keras.Model) -> tuple[Any, list[Any]]:
    """A model as a TensorFlow function, with its signature."""
    import tensorflow

    (given,) = model.inputs
    signature = [tensorflow.TensorSpec([None, *given.shape[1:]], tensorflow.uint8, name=given.name)]
    return tensorflow.function(lambda values: model(values, training=False), input_signature=signature), signature


def _write_tflite(model: keras.Model, target: Path, representative: np.ndarray | None) -> None:
    import tensorflow

    def one_by_one() -> Iterator[list[np.ndarray]]:
        for frame in representative if representative is not None else ():
            yield [frame[None]]

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    if representative is not None:
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        converter.representative_dataset = one_by_one
    with contextlib.redirect_stdout(io.StringIO()):  # Keras describes the model at length
        target.write_bytes(converter.convert())


def _openvino(target: Path) -> Answer:
    import openvino

    network = openvino.Core().compile_model(target, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def answer(frames: np.ndarray) -> dict[str, np.ndarray]:
        said = network({0: frames})
        return {name: np.asarray(said[output]) for output in network.outputs for name in output.names}

    return answer


def _onnx(target: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (given,), names = session.get_inputs(), [output.name for output in session.get_outputs()]
    return lambda frames: dict(zip(names, session.run(names, {given.name: frames}), strict=True))


def _tflite(target: Path) -> Answer:
    # Not TensorFlow's own interpreter: it is deprecated, and answers some convolutions with zeros.
    from ai_edge_litert.interpreter import Interpreter

    network: Any = Interpreter(model_path=str(target), num_threads=cores()).get_signature_runner()
    (given,) = network.get_input_details()

    def answer(frames: np.ndarray) -> dict[str, np.ndarray]:
        said = [network(**{given: frame[None]}) for frame in frames]
        return {name: np.concatenate([one[name] for one in said]) for name in said[0]}

    return answer
