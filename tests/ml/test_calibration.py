import numpy as np
import pytest

from ml import calibration, decision, stack
from ml.assess import conformal
from ml.classes import BINARY, EIGHT, Taxonomy


@pytest.mark.parametrize("taxonomy", [EIGHT, BINARY])
def test_all_but_the_stack_is_fitted_to_answers_that_it_was_not_fitted_to(
    taxonomy: Taxonomy, rng: np.random.Generator
) -> None:
    classes = len(taxonomy.codes)
    labels, lesions = np.arange(400) % classes, np.arange(400)
    logits = rng.normal(0, 1, (400, 2, classes)) + 2 * np.eye(classes)[labels][:, None]
    fitted = calibration.fit(logits, labels, lesions, 3, taxonomy)
    _, held_out = stack.fit(logits, labels, lesions, 3, taxonomy)
    is_malignant = np.isin(labels, taxonomy.malignant_indices)

    def beyond_the_stack(probabilities: np.ndarray) -> list[float]:
        named = decision.fit(probabilities, labels)
        limits = stack.thresholds(stack.malignant(probabilities, taxonomy), is_malignant)
        return [named.temperature, *limits.values(), *conformal.fit(probabilities, labels)]

    given = [fitted.decision.temperature, *fitted.thresholds.values(), *fitted.conformal]
    assert given == beyond_the_stack(held_out)
    assert fitted.malignant_share == is_malignant.mean()
    assert set(given).isdisjoint(beyond_the_stack(fitted.stack.probabilities(logits)))
