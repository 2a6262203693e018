"""What every server has behind it: encoded images in, probabilities out, read and decoded as LesionLens does."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from ml.bundle import shipped
from ml.runtime import Runtime

READERS = 2
BATCH = 32  # as INFERENCE_BATCH of LesionLens
WINDOW_SECONDS = 0.05  # how long a batch may be waited for: less than the model takes for it


class Model:
    """The shipped bundle, warm. It takes all cores for one batch, so there is one of it."""

    def __init__(self) -> None:
        self._runtime = Runtime(shipped(), Path(os.environ["RUNTIME_CACHE"]))
        self._readers = ThreadPoolExecutor(READERS)
        self._device = Lock()

    def answer(self, files: Sequence[bytes]) -> list[dict[str, Any]]:
        """Probabilities, P(malignant), its uncertainty and the advice for each. The next call decodes meanwhile."""
        pixels = list(self._readers.map(self._runtime.prepare, files))
        with self._device:
            predictions = self._runtime.predict(pixels)
        return [
            {
                "probabilities": prediction.probabilities,
                "malignant": prediction.malignant,
                "uncertainty": prediction.uncertainty,
                "advice": prediction.advice,
                "recognised": prediction.recognised,
            }
            for prediction in predictions
        ]
