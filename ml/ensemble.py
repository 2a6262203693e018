"""Several members answering the same images: OpenVINO on a CPU, Keras where there is a GPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np

from ml.classes import CLASSES, MALIGNANT
from ml.convert import network_path
from ml.imaging.preprocess import Size
from ml.stack import malignant, softmax

GRID: Final = (12, 9)
"""(columns, rows) of the heatmap of a landscape image; members of different grids meet here."""

CHANCE: Final = len(MALIGNANT) / len(CLASSES)

BATCH: Final = 32


class Member(Protocol):
    """Answers uint8 (n, height, width, 3) with logits (n, 7) and class activation maps (n, rows, columns, 7),
    float32.
    """

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class Ensemble:
    """The members named by `members` (name to weights file), loaded. Their networks must be in `cache`: see
    `ml.convert.warm`.

    `threads` 0 lets OpenVINO take every core. One thread may use it at a time.
    """

    def __init__(self, members: Mapping[str, Path], size: Size, cache: Path, threads: int = 0) -> None:
        self._members = _gpu_members(members, size) or _cpu_members(members, size, cache, threads)

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For landscape pixels uint8 (n, height, width, 3): the members' logits, float32 (n, members, 7), and the
        heatmap, float32 (n, 9, 12) in [0, 1]; see `heat`.
        """
        answers = [member(pixels) for member in self._members]
        return np.stack([logits for logits, _ in answers], axis=1), heat([maps for _, maps in answers])

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """The members' logits, float32 (n, members, 7), for any number of images, in batches."""
        parts = [self(pixels[start : start + BATCH])[0] for start in range(0, len(pixels), BATCH)]
        return np.concatenate([np.empty((0, len(self._members), len(CLASSES)), dtype=np.float32), *parts])


def heat(members_maps: Sequence[np.ndarray]) -> np.ndarray:
    """How far each place speaks for malignancy, from each member's maps (n, rows, columns, 7): float32 (n, 9, 12).

    P(malignant) if the whole image looked like the place, averaged over members, and set against chance: 0 where it
    is at most the share of malignant classes, as on bare skin, and 1 where it is certain.
    """
    local = [malignant(softmax(maps)).astype(np.float32) for maps in members_maps]
    grids = [[cv2.resize(grid, GRID, interpolation=cv2.INTER_LINEAR) for grid in member] for member in local]
    return np.asarray(np.clip((np.mean(grids, axis=0) - CHANCE) / (1 - CHANCE), 0, 1), dtype=np.float32)


def _cpu_members(members: Mapping[str, Path], size: Size, cache: Path, threads: int) -> list[Member]:
    import openvino

    core = openvino.Core()
    # float32: in bfloat16 logits move by 0.1, and an answer near a threshold with them
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    networks = [network_path(member, weights, size, cache) for member, weights in members.items()]
    return [OpenVinoMember(core.compile_model(network, "CPU", options)) for network in networks]


class OpenVinoMember:
    """A compiled network as a Member."""

    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._logits, self._maps = network.output("logits"), network.output("maps")

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = self._request.infer({0: pixels}, share_inputs=True)
        return answer[self._logits], answer[self._maps]


def _gpu_members(members: Mapping[str, Path], size: Size) -> list[Member] | None:
    """Keras members where an NVIDIA GPU and a TensorFlow that sees it are present, else None."""
    if not Path("/dev/nvidiactl").exists():
        return None
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        return None
    return [KerasMember(member, weights, size) for member, weights in members.items()]


class KerasMember:
    """A Keras model as a Member."""

    def __init__(self, member: str, weights_path: Path, size: Size) -> None:
        from ml import members, weights

        self._model = members.build(member, size)
        weights.load(self._model, weights_path)

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = self._model.predict_on_batch(pixels)
        return answer["logits"], answer["maps"]
