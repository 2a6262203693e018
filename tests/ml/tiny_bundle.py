"""A real bundle around a network of two convolutions with random weights: written at once, converted and loaded in
seconds.
"""

from pathlib import Path
from typing import Final

import numpy as np

from ml import bundle
from ml.assess.novelty import Novelty
from ml.bundle import Member
from ml.calibration import Calibration
from ml.decision import Decision
from ml.imaging.fingerprint import WORDS
from ml.stack import average

THRESHOLDS: Final = {"urgent_referral": 0.6, "routine_referral": 0.3}
MALIGNANT_SHARE: Final = 0.2

# The variables of the `tiny` member in order, written without Keras so that this needs no TensorFlow.
_CONV1, _NORM, _CONV2, _MAPS = [(5, 5, 3, 8), (8,)], [(8,)] * 4, [(3, 3, 8, 16), (16,)], [(1, 1, 16, 7), (7,)]


def unbiased(classes: int) -> Decision:
    """The decision that names the most probable class."""
    return Decision(np.zeros(classes), 1.0)


def everything(width: int) -> Novelty:
    """To which no features (n, width) are novel."""
    return Novelty(np.zeros(width, np.float32), np.zeros((width, 1), np.float16), np.ones(1, np.float32), 1.0, np.inf)


def make_tiny_bundle(path: Path, seed: int = 0, name: str = "tiny") -> Path:
    """Writes a bundle to `path` and gives it back. Another seed gives other weights and so another hash."""
    rng = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = [*_CONV1, *_NORM, *_CONV2, *_MAPS]
    arrays = [rng.normal(0, 0.3, shape).astype(np.float16 if len(shape) > 1 else np.float32) for shape in shapes]
    arrays[5] = np.ones(8, dtype=np.float32)  # the moving variance
    path.mkdir(parents=True, exist_ok=True)
    np.savez(path / "tiny.npz", **{f"{index:04d}": array for index, array in enumerate(arrays)})  # type: ignore[arg-type]
    bundle.save(
        path,
        name=name,
        members=[Member("tiny", path / "tiny.npz", (192, 144), ("whole",))],
        calibration=Calibration(average(1), unbiased(7), THRESHOLDS, [0.9] * 7, MALIGNANT_SHARE),
        novelty=everything(16),
        seen=np.zeros((0, WORDS), dtype=np.uint64),
        facts={"data_hash": "0" * 64, "code_version": "test"},
        metrics={},
        card=f"# {name}\n\nRandom weights, for tests.\n",
    )
    return path
