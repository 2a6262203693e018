import numpy as np
import pytest

from ml import decision
from ml.stack import softmax
from tests.ml.tiny_bundle import unbiased


def rare_and_common(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities (count, 3) of a world with frequencies 0.85, 0.1, 0.05, and labels."""
    prior = np.array([0.85, 0.1, 0.05])
    labels = rng.choice(3, count, p=prior)
    seen = np.eye(3)[labels] * 2 + rng.normal(0, 1, (count, 3))
    return softmax(2 * seen + np.log(prior)), labels


def recalls(named: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([(named == label)[labels == label].mean() for label in range(3)])


def test_naming_with_equal_weight_finds_the_rare(rng: np.random.Generator) -> None:
    probabilities, labels = rare_and_common(rng, 4000)
    fitted = decision.fit(probabilities[:2000], labels[:2000])
    held_out, truth = probabilities[2000:], labels[2000:]
    plain = recalls(held_out.argmax(axis=1), truth)
    fair = recalls(fitted.named(held_out), truth)
    assert fair.mean() > plain.mean() + 0.03
    assert fair[2] > plain[2] + 0.1
    assert np.ptp(fair) < 0.1  # in this world every class is as easy to tell


@pytest.mark.parametrize("overconfidence", [1, 3])
def test_the_named_class_is_the_largest_and_as_confident_as_it_is_right(
    overconfidence: int, rng: np.random.Generator
) -> None:
    probabilities, labels = rare_and_common(rng, 4000)
    probabilities = softmax(overconfidence * np.log(probabilities))
    fitted = decision.fit(probabilities[:2000], labels[:2000])
    behind = fitted.probabilities(probabilities[2000:])
    np.testing.assert_array_equal(behind.argmax(axis=1), fitted.named(probabilities[2000:]))
    np.testing.assert_allclose(behind.sum(axis=1), 1)
    right = (behind.argmax(axis=1) == labels[2000:]).mean()
    assert behind.max(axis=1).mean() == pytest.approx(right, abs=0.05)


def test_without_bias_the_most_probable_is_named(rng: np.random.Generator) -> None:
    probabilities, _ = rare_and_common(rng, 100)
    np.testing.assert_allclose(unbiased(3).probabilities(probabilities), probabilities)
