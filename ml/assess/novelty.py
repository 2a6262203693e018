"""How unlike the training images a picture is, so that what is no lesion can be told: the Mahalanobis distance of a
network's pooled features from those that it was trained on.

Sources: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks,
NeurIPS 2018, arXiv:1807.03888, with one Gaussian for all classes instead of one mean for each; Müller and Hein,
Mahalanobis++: Improving OOD Detection via Feature Normalization, ICML 2025, arXiv:2505.18032 (features are scaled to
length 1 first, or a plain picture, which excites few of them, would pass for a usual one); Tipping and Bishop,
Probabilistic Principal Component Analysis, J. R. Statist. Soc. B 1999 (one variance for all directions beyond the
first); Chen et al., Shrinkage Algorithms for MMSE Covariance Estimation, IEEE TSP 2010, arXiv:0907.4698.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

COMPONENTS: Final = 64
QUANTILE: Final = 0.99
"""The share of held-out lesions that stay below the threshold."""


@dataclass(frozen=True)
class Novelty:
    """A Gaussian over features of width d, scaled to length 1: `mean` float32 (d,); `directions` float16 (d, k), the
    first principal ones; `deviations` float32 (k,), the standard deviation along each; `residual`, the one along every
    other direction; and the `threshold` distance above which a picture counts as no lesion.
    """

    mean: np.ndarray
    directions: np.ndarray
    deviations: np.ndarray
    residual: float
    threshold: float

    def distance(self, features: np.ndarray) -> np.ndarray:
        """The Mahalanobis distance of features (n, d), float64 (n,), divided by the square root of d: of the
        order of 1 for an image like those of training.
        """
        centred = _normalised(features) - self.mean
        along = centred @ self.directions.astype(np.float64)
        outside = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        squared = ((along / self.deviations) ** 2).sum(axis=1) + outside / self.residual**2
        return np.asarray(np.sqrt(squared / len(self.mean)))

    def is_novel(self, features: np.ndarray) -> np.ndarray:
        """Whether each picture of features (n, d) lies beyond the threshold, bool (n,)."""
        return np.asarray(self.distance(features) > self.threshold)

    def save(self, path: Path) -> None:
        """Writes a compressed `.npz` of about 2 d k bytes."""
        np.savez_compressed(
            path,
            mean=self.mean,
            directions=self.directions,
            deviations=self.deviations,
            residual=self.residual,
            threshold=self.threshold,
        )

    @staticmethod
    def load(path: Path) -> "Novelty":
        """What `save` wrote. Raises OSError or KeyError for another file."""
        with np.load(path, allow_pickle=False) as held:
            arrays = held["mean"], held["directions"], held["deviations"]
            return Novelty(*arrays, float(held["residual"]), float(held["threshold"]))


def fit(features_train: np.ndarray, features_validation: np.ndarray, components: int = COMPONENTS) -> Novelty:
    """Fits the Gaussian to training features (n, d), and the threshold to validation features (m, d): the 99th
    percentile of the distances of lesions that the network was not trained on.

    The covariance is shrunk towards a multiple of the identity by the oracle-approximating weight, so that directions
    in which few images differ do not become infinitely long. Raises ValueError where `components` leaves no other
    direction or there are fewer than two training images.
    """
    count, width = features_train.shape
    if count < 2 or components >= width:
        raise ValueError(f"{components} components need more than {components} features and two images.")
    features = _normalised(features_train)
    mean = features.mean(axis=0)
    centred = features - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / count)
    values = np.maximum(values[::-1], 0)
    shrunk = _shrunk(values, count)
    unfitted = Novelty(
        mean=mean.astype(np.float32),
        directions=vectors[:, ::-1][:, :components].astype(np.float16),
        deviations=np.sqrt(shrunk[:components]).astype(np.float32),
        residual=float(np.sqrt(shrunk[components:].mean())),
        threshold=np.inf,
    )
    threshold = float(np.quantile(unfitted.distance(features_validation), QUANTILE))
    return Novelty(unfitted.mean, unfitted.directions, unfitted.deviations, unfitted.residual, threshold)


def _normalised(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12))


def _shrunk(values: np.ndarray, count: int) -> np.ndarray:
    """A sample covariance's eigenvalues after oracle-approximating shrinkage; never zero."""
    width = len(values)
    trace, squares = values.sum(), (values**2).sum()
    spread = (count + 1 - 2 / width) * (squares - trace**2 / width)
    weight = min(1.0, ((1 - 2 / width) * squares + trace**2) / spread) if spread > 0 else 1.0
    return np.asarray((1 - weight) * values + weight * trace / width + 1e-12)
