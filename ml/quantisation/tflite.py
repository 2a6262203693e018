"""A network as a `.tflite` file in 8 bits: written, run and timed."""

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from ml.quantisation.fake import EightBits
from ml.quantisation.folding import Pixels


def write(network: keras.Model, pixels: Pixels, target: Path, representative: np.ndarray | None = None) -> None:
    """Writes a file that answers one view, `image`, uint8 (1, height, width, 3), with `logits`, float32 (1, …), and
    computes in integers between them.

    `network` goes from scaled pixels to logits. Without `representative` it is one of `ml.quantisation.fake.settled`,
    whose ranges the file takes over; else its ranges are taken from those views, uint8 (n, height, width, 3).
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


def opened(file: Path, threads: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """A written file as a function from views, uint8 (n, height, width, 3), to logits, float32 (n, …)."""
    # Not TensorFlow's own interpreter: it is deprecated, and answers some convolutions with zeros.
    from ai_edge_litert.interpreter import Interpreter

    network: Any = Interpreter(model_path=str(file), num_threads=threads)
    network.allocate_tensors()
    given, answer = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def answered(view: np.ndarray) -> np.ndarray:
        network.set_tensor(given, view[None])
        network.invoke()
        return np.asarray(network.get_tensor(answer)[0])

    return lambda views: np.stack([answered(view) for view in views])


def answers(file: Path, views: np.ndarray, threads: int = 1) -> np.ndarray:
    """The logits of a written file for views: see `opened`."""
    return opened(file, threads)(views)


def milliseconds(run: Callable[[np.ndarray], object], pictures: np.ndarray) -> float:
    """The median time that `run` takes for one of the pictures, uint8 (n, height, width, 3). The first warm up."""
    times = []
    for picture in pictures:
        start = time.perf_counter()
        run(picture[None])
        times.append(time.perf_counter() - start)
    return float(np.median(times[len(times) // 10 :]) * 1000)


def _one_by_one(scaled: np.ndarray, pixels: Pixels) -> Iterator[list[np.ndarray]]:
    """With black and white, so that a grey level keeps its number."""
    for limit in pixels.limits:
        yield [np.full((1, *scaled.shape[1:]), limit, dtype=np.float32)]
    for view in scaled:
        yield [view[None]]
