"""Several members answering the same images: OpenVINO on a CPU, Keras where there is a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np

from ml.bundle import Member
from ml.classes import SEVEN, Taxonomy
from ml.convert import keras_model, network_path
from ml.imaging.preprocess import Size
from ml.stack import malignant, softmax

GRID: Final = (12, 9)
"""(columns, rows) of the heatmap of a landscape image; members of different grids meet here."""

OUTPUTS: Final = ("logits", "maps", "features")

BATCH: Final = 32


@dataclass(frozen=True)
class Answers:
    """What the members say about n frames: `logits` float32 (n, members, k), `heat` float32 (n, 9, 12) in [0, 1] (see
    `heat`), and `features`, the last member's, float32 (n, channels).
    """

    logits: np.ndarray
    heat: np.ndarray
    features: np.ndarray


class Network(Protocol):
    """Answers frames, uint8 (n, height, width, 3), with logits (n, k), class activation maps (n, rows, columns, k) and
    features (n, channels), float32.
    """

    def __call__(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...


class Ensemble:
    """The members of a bundle, loaded. Their networks must be in `cache`: see `ml.convert.warm`.

    `threads` 0 lets OpenVINO take every core. One thread may use it at a time.
    """

    def __init__(
        self, members: Sequence[Member], frame: Size, cache: Path, threads: int = 0, taxonomy: Taxonomy = SEVEN
    ) -> None:
        self._networks = _on_gpu(members, frame) or _on_cpu(members, frame, cache, threads)
        self._taxonomy = taxonomy

    def __call__(self, frames: np.ndarray) -> Answers:
        """The answers to frames, uint8 (n, height, width, 3), taken at once."""
        said = [network(frames) for network in self._networks]
        return Answers(
            logits=np.stack([logits for logits, _, _ in said], axis=1),
            heat=heat([maps for _, maps, _ in said], self._taxonomy),
            features=said[-1][2],
        )

    def in_batches(self, frames: np.ndarray) -> Answers:
        """The answers to any number of frames, none included."""
        if not len(frames):
            blank = self(np.zeros((1, *frames.shape[1:]), dtype=np.uint8))
            return Answers(blank.logits[:0], blank.heat[:0], blank.features[:0])
        parts = [self(frames[start : start + BATCH]) for start in range(0, len(frames), BATCH)]
        return Answers(
            np.concatenate([part.logits for part in parts]),
            np.concatenate([part.heat for part in parts]),
            np.concatenate([part.features for part in parts]),
        )


def heat(members_maps: Sequence[np.ndarray], taxonomy: Taxonomy = SEVEN) -> np.ndarray:
    """How far each place speaks for malignancy, from each member's maps (n, rows, columns, k): float32 (n, 9, 12).

    P(malignant) if the whole image looked like the place, averaged over members, and set against chance: 0 where it
    is at most the share of malignant classes, as on bare skin, and 1 where it is certain.
    """
    chance = len(taxonomy.malignant) / len(taxonomy.codes)
    local = [malignant(softmax(maps), taxonomy).astype(np.float32) for maps in members_maps]
    grids = [[cv2.resize(grid, GRID, interpolation=cv2.INTER_LINEAR) for grid in member] for member in local]
    return np.asarray(np.clip((np.mean(grids, axis=0) - chance) / (1 - chance), 0, 1), dtype=np.float32)


def _on_cpu(members: Sequence[Member], frame: Size, cache: Path, threads: int) -> list[Network]:
    import openvino

    core = openvino.Core()
    # float32: in bfloat16 logits move by 0.1, and an answer near a threshold with them
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    return [
        OpenVinoNetwork(core.compile_model(network_path(member, frame, cache), "CPU", options)) for member in members
    ]


class OpenVinoNetwork:
    """A compiled network as a Network."""

    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._outputs = [network.output(name) for name in OUTPUTS]

    def __call__(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        answer = self._request.infer({0: frames}, share_inputs=True)
        logits, maps, features = (answer[output] for output in self._outputs)
        return logits, maps, features


def _on_gpu(members: Sequence[Member], frame: Size) -> list[Network] | None:
    """Keras networks where an NVIDIA GPU and a TensorFlow that sees it are present, else None."""
    if not Path("/dev/nvidiactl").exists():
        return None
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        return None
    return [KerasNetwork(member, frame) for member in members]


class KerasNetwork:
    """A Keras model as a Network."""

    def __init__(self, member: Member, frame: Size) -> None:
        self._model = keras_model(member, frame)

    def __call__(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        answer = self._model.predict_on_batch(frames)
        logits, maps, features = (answer[name] for name in OUTPUTS)
        return logits, maps, features
