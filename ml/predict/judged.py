"""Answers with what the quality check says of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.imaging.decode import decode
from ml.imaging.preprocess import fit
from ml.imaging.quality import check
from ml.runtime import Prediction, Runtime


@dataclass(frozen=True)
class Judged:
    """The answer for one image, and the codes of `ml.imaging.refusal` that the service would refuse it with; none where
    it is good.
    """

    prediction: Prediction
    quality: tuple[str, ...]

    @property
    def diagnosis(self) -> str | None:
        """The class named, by `Prediction.decision`; none for a picture that is not recognised or not good enough."""
        decision = self.prediction.decision
        return max(decision, key=decision.__getitem__) if self._examined else None

    @property
    def advice(self) -> str | None:
        """The advice; none where there is no diagnosis."""
        return self.prediction.advice.value if self._examined else None

    @property
    def _examined(self) -> bool:
        return self.prediction.recognised and not self.quality


class Judging:
    """A runtime that also judges the pictures, decoded once for both; see `ml.runtime.stream.Answering`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def prepare(self, data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
        """As `Runtime.prepare`, with the codes of the quality check."""
        pixels = decode(data).pixels
        return fit(pixels, self._runtime.bundle.frame), check(pixels).codes

    def predict(self, batch: Sequence[tuple[np.ndarray, tuple[str, ...]]]) -> list[Judged]:
        """As `Runtime.predict`, with those codes."""
        predictions = self._runtime.predict([pixels for pixels, _ in batch])
        return [Judged(prediction, codes) for prediction, (_, codes) in zip(predictions, batch, strict=True)]
