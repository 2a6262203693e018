"""Encoded images in, predictions out: OpenVINO on a CPU, Keras where there is a GPU."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np

from ml import bundle as bundles
from ml.advice import Advice, advise
from ml.classes import CLASSES
from ml.convert import missing, network_path
from ml.imaging.decode import decode
from ml.imaging.preprocess import VERSION, fit, is_portrait, landscape, turned_back
from ml.stack import malignant, softmax

GRID: Final = (12, 9)
"""(columns, rows) of a heatmap of a landscape image; members of different grids meet here."""


class RuntimeFailed(Exception):
    """A model that cannot be made ready; the message says what failed."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    `probabilities` of the seven classes sum to one; `malignant` is P(malignant); `uncertainty` is the standard deviation of the members' own P(malignant), in the same unit;
    `heatmap` is float32 (rows, columns) in [0, 1], in the orientation of the photo: P(malignant) if the whole image looked like that place, averaged over members.
    """

    probabilities: dict[str, float]
    malignant: float
    uncertainty: float
    advice: Advice
    heatmap: np.ndarray


class Backend(Protocol):
    """Runs one member: uint8 (n, height, width, 3) to logits (n, 7) and maps (n, rows, columns, 7), float32."""

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class Runtime:
    """A bundle, loaded and ready.

    `cache` keeps converted networks: the first load of new weights converts them in a process of its own (seconds, needs TensorFlow); later loads take well
    under a second and never import it. Raises BundleError for an unusable bundle and RuntimeFailed when conversion fails.

    `prepare` may run in several threads at once; `predict` belongs to one thread. Neither keeps anything between calls.
    """

    def __init__(self, bundle: Path, cache: Path, threads: int = 0) -> None:
        self.bundle = bundles.load(Path(bundle))
        self.name = self.bundle.name
        self.preprocessing_version = VERSION
        self._stack = self.bundle.stack
        self._thresholds = self.bundle.thresholds
        self._members: list[Backend] = _gpu_members(self.bundle) or _cpu_members(self.bundle, Path(cache), threads)

    def prepare(self, data: bytes) -> np.ndarray:
        """Decodes one image file to the model's size, in its own orientation: uint8 RGB (rows, columns, 3). Raises ImageRefused."""
        return fit(decode(data).image, self.bundle.size)

    def predict(self, batch: Sequence[np.ndarray]) -> list[Prediction]:
        """Predictions in the order of what `prepare` gave.

        When memory runs out this raises MemoryError or the backend's RuntimeError: catch both, halve the batch and try again.
        """
        if not batch:
            return []
        logits, heat = self.raw(np.stack([landscape(pixels) for pixels in batch]))
        probabilities = self._stack.probabilities(logits)
        p_malignant = malignant(probabilities)
        uncertainty = malignant(softmax(logits)).std(axis=1)
        return [
            Prediction(
                probabilities={code: float(value) for code, value in zip(CLASSES, probabilities[index], strict=True)},
                malignant=float(p_malignant[index]),
                uncertainty=float(uncertainty[index]),
                advice=advise(float(p_malignant[index]), self._thresholds),
                heatmap=turned_back(heat[index]) if is_portrait(pixels) else heat[index],
            )
            for index, pixels in enumerate(batch)
        ]

    def raw(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The members' logits, float32 (n, members, 7), and the mean heatmap, float32 (n, 9, 12), for landscape pixels uint8 (n, height, width, 3)."""
        answers = [member(pixels) for member in self._members]
        heat = np.mean([_heat(maps) for _, maps in answers], axis=0, dtype=np.float32)
        return np.stack([logits for logits, _ in answers], axis=1), heat


def _heat(maps: np.ndarray) -> np.ndarray:
    """P(malignant) at each place, brought to the common grid: float32 (n, 9, 12)."""
    local = malignant(softmax(maps)).astype(np.float32)
    return np.stack([cv2.resize(grid, GRID, interpolation=cv2.INTER_LINEAR) for grid in local])


def _cpu_members(bundle: bundles.Bundle, cache: Path, threads: int) -> list[Backend]:
    import openvino

    if missing(bundle, cache):
        command = [sys.executable, "-m", "ml", "warm", "--bundle", str(bundle.path.resolve()), "--cache", str(cache.resolve())]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])  # noqa: S603
        if finished.returncode != 0:
            raise RuntimeFailed(f"Converting {bundle.name} failed: {finished.stderr.strip()[-2000:]}")
    core = openvino.Core()
    # float32: in bfloat16 the answers move by more than a threshold may
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    return [_OpenVinoMember(core.compile_model(network_path(bundle, member, cache), "CPU", options)) for member in bundle.members]


class _OpenVinoMember:
    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._logits, self._maps = network.output("logits"), network.output("maps")

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = self._request.infer({0: pixels}, share_inputs=True)
        return answer[self._logits], answer[self._maps]


def _gpu_members(bundle: bundles.Bundle) -> list[Backend] | None:
    """Keras members where an NVIDIA GPU and a TensorFlow that sees it are present, else None."""
    if not Path("/dev/nvidiactl").exists():
        return None
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        return None
    return [_KerasMember(bundle, member) for member in bundle.members]


class _KerasMember:
    def __init__(self, bundle: bundles.Bundle, member: str) -> None:
        from ml import members, weights

        self._model = members.build(member, bundle.size)
        weights.load(self._model, bundle.weights(member))

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = self._model.predict_on_batch(pixels)
        return answer["logits"], answer["maps"]
