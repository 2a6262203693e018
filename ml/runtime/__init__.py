"""Encoded images in, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ml import bundle as bundles
from ml.advice import Advice, advise
from ml.assess import conformal
from ml.imaging.decode import decode
from ml.imaging.preprocess import fit, framed, unframed
from ml.prepare import prepared
from ml.runtime.ensemble import Answers, Ensemble, heat
from ml.stack import malignant, softmax


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    `probabilities` of the bundle's classes are calibrated and sum to one; `decision` are those behind the class that is
    named when all classes count the same, the largest for that class (see `ml.decision`); `malignant` is P(malignant),
    from `probabilities`; `plausible` are the classes that a set which holds the true one nine times in ten cannot leave
    out; `recognised` is False for a picture so unlike a lesion that the rest means nothing; `uncertainty` is the
    standard deviation of the members' own P(malignant), in the same unit, None where there is one member; `heatmap` is
    float32 (rows, columns) in [0, 1], over the photo as it was held: what drew the members towards the most probable
    class (`ml.runtime.ensemble.heat`).
    """

    probabilities: dict[str, float]
    decision: dict[str, float]
    malignant: float
    plausible: tuple[str, ...]
    recognised: bool
    uncertainty: float | None
    advice: Advice
    heatmap: np.ndarray


class Runtime:
    """A bundle, loaded and ready.

    `cache` keeps converted networks: the first load of new weights on a CPU converts them in a process of its own
    (seconds, needs TensorFlow); later loads take well under a second and never import it. Raises BundleError for an
    unusable bundle and ConversionFailed when conversion fails.

    `prepare` may run in several threads at once; `predict` belongs to one thread. Neither keeps anything between
    calls.
    """

    def __init__(self, bundle: Path, cache: Path) -> None:
        self.bundle = bundles.load(Path(bundle))
        # Read now: a bundle that lacks something fails here, and its folder may be gone when the first image comes.
        self._calibration = self.bundle.calibration
        self._preparation = self.bundle.preparation
        self._novelty = self.bundle.novelty
        # Threads of NumPy's that wait for the next small product would take the cores from the networks.
        self._blas = ThreadpoolController()
        self._ensemble = Ensemble(self.bundle.members, self.bundle.frame, Path(cache))

    @property
    def fewest(self) -> int | None:
        """The fewest images in one `predict` that keep every core at work; None on a GPU, where that is not known."""
        return self._ensemble.fewest

    @property
    def computes(self) -> str:
        """As `in bf16 on the CPU`: near a threshold, advice may depend on it."""
        return self._ensemble.computes

    def prepare(self, data: bytes) -> np.ndarray:
        """Decodes one image file to the size of the frame, in its own shape: uint8 RGB (rows, columns, 3); see
        `ml.imaging.preprocess.fit`. Raises ImageRefused.
        """
        return fit(decode(data).pixels, self.bundle.frame)

    def predict(self, batch: Sequence[np.ndarray]) -> list[Prediction]:
        """Predictions in the order of what `prepare` gave.

        When memory runs out this raises MemoryError or the backend's RuntimeError: catch both, halve the batch and
        try again.
        """
        if not batch:
            return []
        frames = np.stack([framed(pixels, self.bundle.frame) for pixels in batch])
        with self._blas.limit(limits=1, user_api="blas"):
            return self._predictions(batch, self._ensemble(prepared(frames, self._preparation)))

    def _predictions(self, batch: Sequence[np.ndarray], answers: Answers) -> list[Prediction]:
        taxonomy = self.bundle.taxonomy
        probabilities = self._calibration.stack.probabilities(answers.logits)
        decided = self._calibration.decision.probabilities(probabilities)
        plausible = conformal.sets(probabilities, self._calibration.conformal)
        novel = self._novelty.is_novel(answers.features)
        p_malignant = malignant(probabilities, taxonomy)
        hot = heat(answers.maps, probabilities.argmax(axis=1))
        uncertainty = malignant(softmax(answers.logits), taxonomy).std(axis=1)
        return [
            Prediction(
                probabilities=self._by_class(probabilities[index]),
                decision=self._by_class(decided[index]),
                malignant=float(p_malignant[index]),
                plausible=tuple(compress(taxonomy.codes, plausible[index])),
                recognised=not novel[index],
                uncertainty=float(uncertainty[index]) if len(self.bundle.members) > 1 else None,
                advice=advise(float(p_malignant[index]), self._calibration.thresholds),
                heatmap=unframed(hot[index], pixels.shape, self.bundle.frame),
            )
            for index, pixels in enumerate(batch)
        ]

    def _by_class(self, values: np.ndarray) -> dict[str, float]:
        return {code: float(value) for code, value in zip(self.bundle.taxonomy.codes, values, strict=True)}
