"""Several members answering the same images: OpenVINO on a CPU, Keras where there is a GPU."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np

from ml.bundle import Member
from ml.imaging.preprocess import Size
from ml.runtime.convert import keras_model, network_path, warm_elsewhere
from ml.runtime.cores import cores

GRID: Final = (12, 9)
"""(columns, rows) of the heatmap of a landscape image; members of different grids meet here."""

OUTPUTS: Final = ("logits", "maps", "features")

BATCH: Final = 32

CHUNK: Final = 4
"""Frames in most requests to OpenVINO; measured, like what else is chosen here, by `python -m ml bench`."""

Precision = Literal["f32", "bf16"]
"""Of what `ml.runtime.convert.quantise` did not turn into eight bits."""

CLEARLY: Final = 0.8
"""bfloat16 moves an answer a little, so no chance of the moment may choose it. Where it helps, it halves the time."""


@dataclass(frozen=True)
class Answers:
    """What the members say about n frames: `logits` float32 (n, members, k), each member's class activation `maps`,
    float32 (n, rows, columns, k), and `features`, the last member's, float32 (n, channels).
    """

    logits: np.ndarray
    maps: list[np.ndarray]
    features: np.ndarray


Said = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What one member says about n frames: logits (n, k), class activation maps (n, rows, columns, k) and features (n,
channels), float32.
"""

Backend = Callable[[np.ndarray], list[Said]]
"""From frames, uint8 (n, height, width, 3), to what each member says."""


class Ensemble:
    """The members of a bundle, loaded. On a CPU, networks that `cache` lacks are converted first, in a process of its
    own; raises ConversionFailed where that fails.

    `precision` is that of the convolutions on a CPU, of which it takes every core: `native_precision` unless it is
    given; a GPU computes in float32. One thread may use it at a time.
    """

    def __init__(
        self, members: Sequence[Member], frame: Size, cache: Path, *, precision: Precision | None = None
    ) -> None:
        self._answer: Backend
        self.fewest: int | None = None
        """Frames that keep every core at work, where that is known."""
        self.computes = "in f32 on a GPU"
        """With which precision, and on what: an answer differs a little between two."""
        if gpu := _on_gpu(members, frame):
            self._answer = gpu
        else:
            cpu = OpenVinoMembers(members, frame, cache, precision)
            self._answer, self.fewest, self.computes = cpu, cpu.fewest, f"in {cpu.precision} on the CPU"

    def __call__(self, frames: np.ndarray) -> Answers:
        """The answers to frames, uint8 (n, height, width, 3), taken at once."""
        said = self._answer(frames)
        return Answers(
            logits=np.stack([logits for logits, _, _ in said], axis=1),
            maps=[maps for _, maps, _ in said],
            features=said[-1][2],
        )

    def in_batches(self, frames: np.ndarray) -> Answers:
        """The answers to any number of frames, none included."""
        if not len(frames):
            blank = self(np.zeros((1, *frames.shape[1:]), dtype=np.uint8))
            return Answers(blank.logits[:0], [maps[:0] for maps in blank.maps], blank.features[:0])
        parts = [self(frames[start : start + BATCH]) for start in range(0, len(frames), BATCH)]
        return Answers(
            np.concatenate([part.logits for part in parts]),
            [np.concatenate(maps) for maps in zip(*(part.maps for part in parts), strict=True)],
            np.concatenate([part.features for part in parts]),
        )


def heat(members_maps: Sequence[np.ndarray], classes: np.ndarray) -> np.ndarray:
    """What drew the members towards a class of each frame, int (n,), from each member's maps (n, rows, columns, k):
    float32 (n, 9, 12) in [0, 1].

    Class activation mapping (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016,
    arXiv:1512.04150): how far a place's logit of that class rises above its mean over the picture, averaged over
    members, as a share of the largest rise; of one nat where none is that large, so that an even map stays cold.
    """
    named = [maps[np.arange(len(maps)), :, :, classes] for maps in members_maps]
    grids = np.mean([[cv2.resize(grid, GRID) for grid in member] for member in named], axis=0)
    rise = np.maximum(grids - grids.mean(axis=(1, 2), keepdims=True), 0)
    return np.asarray(rise / np.maximum(rise.max(axis=(1, 2), keepdims=True), 1), dtype=np.float32)


@functools.cache
def native_precision() -> Precision:
    """bf16 where this processor is clearly quicker in it, else f32.

    It is tried: some processors have no bfloat16, and some that have instructions for it take longer with them than in
    float32 (AVX-512's on an Intel Xeon whose AMX is not to be had: half as long again).
    """
    import openvino

    core = openvino.Core()
    one = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    networks = [
        core.compile_model(_pointwise(), "CPU", {**one, "INFERENCE_PRECISION_HINT": precision})
        for precision in ("f32", "bf16")
    ]
    seconds = [[_seconds(network) for network in networks] for _ in range(10)]  # in turns: other work hits both alike
    full, half = np.min(seconds, axis=0)
    return "bf16" if half < CLEARLY * full else "f32"


def _pointwise() -> Any:
    """What members spend their time on, convolutions of 1 × 1: ten of 192 channels on 24 × 18 places."""
    import openvino
    from openvino import opset13

    weights = np.random.default_rng(0).normal(0, 0.1, (192, 192, 1, 1)).astype(np.float32)
    frames = opset13.parameter([1, 192, 24, 18], np.float32)
    result = frames
    for _ in range(10):
        result = opset13.convolution(result, opset13.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
        result = opset13.clamp(result, 0.0, 6.0)
    return openvino.Model([result], [frames], "pointwise")


def _seconds(network: Any) -> float:
    started = time.process_time()  # other work on the machine would add its own time to a clock's
    network([np.ones((1, 192, 24, 18), np.float32)])
    return time.process_time() - started


class OpenVinoMembers:
    """All members in one OpenVINO network, on a CPU: what they share, such as the views of a frame, is computed once.

    Frames go through it CHUNK at a time, and what is left over one at a time, as does the photo of somebody who waits;
    several at once, with a core or more for each. A fixed number of frames lets OpenVINO fuse what it cannot fuse for
    any number, and a small one keeps a layer's values in the core's cache.
    """

    def __init__(self, members: Sequence[Member], frame: Size, cache: Path, precision: Precision | None = None) -> None:
        import openvino

        warm_elsewhere(members, frame, cache)
        paths = [network_path(member, frame, cache) for member in members]
        threads = cores()
        streams = min(threads, BATCH // CHUNK)
        self.fewest = CHUNK * streams
        self.precision: Precision = precision or native_precision()
        options = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
        }
        core = openvino.Core()
        self._requests: dict[int, Any] = {}  # by the number of frames that a request takes
        for count in (1, CHUNK):
            network = core.compile_model(_joined(core, paths, frame, count), "CPU", options)
            self._requests[count] = openvino.AsyncInferQueue(network, streams)
            self._requests[count].set_callback(_keep)

    def __call__(self, frames: np.ndarray) -> list[Said]:
        left_over = len(frames) - len(frames) % CHUNK
        pieces = [frames[at : at + CHUNK] for at in range(0, left_over, CHUNK)]
        pieces += [frames[at : at + 1] for at in range(left_over, len(frames))]
        kept: list[list[np.ndarray]] = [[] for _ in pieces]
        for piece, answers in zip(pieces, kept, strict=True):
            self._requests[len(piece)].start_async({0: piece}, answers, share_inputs=True)
        for requests in self._requests.values():
            requests.wait_all()
        outputs = [np.concatenate(parts) for parts in zip(*kept, strict=True)]
        return [(outputs[at], outputs[at + 1], outputs[at + 2]) for at in range(0, len(outputs), len(OUTPUTS))]


def _keep(request: Any, answers: list[np.ndarray]) -> None:
    answers.extend(tensor.data.copy() for tensor in request.output_tensors)


def _joined(core: Any, paths: Sequence[Path], frame: Size, count: int) -> Any:
    """One network with the members' OUTPUTS, one member after the other, for `count` frames."""
    import openvino
    from openvino import opset13

    frames = opset13.parameter([count, frame[1], frame[0], 3], np.uint8, name="frames")
    outputs = []
    for path in paths:
        network = core.read_model(path)
        for reader in network.input(0).get_target_inputs():
            reader.replace_source_output(frames.output(0))
        outputs += [network.output(name).get_node().input_value(0) for name in OUTPUTS]
    return openvino.Model(outputs, [frames], "ensemble")


def _on_gpu(members: Sequence[Member], frame: Size) -> Backend | None:
    """Keras networks where an NVIDIA GPU and a TensorFlow that sees it are present, else None."""
    if not Path("/dev/nvidiactl").exists():
        return None
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        return None
    networks = [KerasNetwork(member, frame) for member in members]
    return lambda frames: [network(frames) for network in networks]


class KerasNetwork:
    """A member as a Keras model, in float32."""

    def __init__(self, member: Member, frame: Size) -> None:
        self._model = keras_model(member, frame)
        # Keras chooses XLA where there is a GPU, and XLA compiles each number of frames anew, a lone photo's too.
        self._model.jit_compile = False

    def __call__(self, frames: np.ndarray) -> Said:
        answer = self._model.predict_on_batch(frames)
        return answer["logits"], answer["maps"], answer["features"]
