"""A network as a `.tflite` file in 8 bits: written, run and timed."""

import contextlib
import io
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from ml.quantisation.fake import EightBits
from ml.quantisation.folding import Pixels


def write(network: keras.Model, pixels: Pixels, target: Path, representative: np.ndarray | None = None) -> None:
    """Writes a file that answers one view, uint8 (1, height, width, 3), with `logits`, float32 (1, classes), and
    computes in integers between them.

    `network` is one of `ml.quantisation.fake.settled`, whose ranges the file takes over; or, with views uint8 (n,
    height, width, 3) as `representative`, one of `ml.quantisation.folding`, whose ranges are taken from them.
    """
    import tensorflow

    image = layers.Input(batch_shape=(1, *network.input.shape[1:]), name="image")
    given = EightBits(*pixels.limits, name="levels")(image) if representative is None else image
    whole = keras.Model(image, {"logits": network(given)}, name=network.name)
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(whole)
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.inference_input_type = tensorflow.uint8
    if representative is not None:
        converter.representative_dataset = lambda: _one_by_one(pixels(representative), pixels)
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it tells at length what it does
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # they are in the network
        target.write_bytes(converter.convert())


def answers(file: Path, views: np.ndarray, threads: int = 1) -> np.ndarray:
    """The logits, float32 (n, classes), of a written file for views, uint8 (n, height, width, 3)."""
    network = _interpreter(file, threads)
    return np.stack([_invoke(network, view) for view in views])


def milliseconds(file: Path, views: np.ndarray, threads: int) -> float:
    """The median time that one view takes, without reading and decoding its photo. The first views warm up."""
    network = _interpreter(file, threads)
    times = []
    for view in views:
        start = time.perf_counter()
        _invoke(network, view)
        times.append(time.perf_counter() - start)
    return float(np.median(times[len(times) // 10 :]) * 1000)


def _one_by_one(scaled: np.ndarray, pixels: Pixels) -> Iterator[list[np.ndarray]]:
    """With black and white, so that a grey level keeps its number."""
    for limit in pixels.limits:
        yield [np.full((1, *scaled.shape[1:]), limit, dtype=np.float32)]
    for view in scaled:
        yield [view[None]]


def _interpreter(file: Path, threads: int) -> Any:
    # Not TensorFlow's own interpreter: it is deprecated, and answers some convolutions with zeros.
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_path=str(file), num_threads=threads)
    network.allocate_tensors()
    return network


def _invoke(network: Any, view: np.ndarray) -> np.ndarray:
    network.set_tensor(network.get_input_details()[0]["index"], view[None])
    network.invoke()
    return np.asarray(network.get_tensor(network.get_output_details()[0]["index"])[0])
