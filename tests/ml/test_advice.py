import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.advice import Advice, advise, combine
from ml.classes import BINARY, CLASSES, EIGHT, MALIGNANT, SEVEN, Taxonomy

THRESHOLDS = {"urgent_referral": 0.5, "routine_referral": 0.1}


def answer(malignant: float) -> dict[str, float]:
    """Class probabilities with this P(malignant)."""
    return {code: malignant / 3 if code in MALIGNANT else (1 - malignant) / 4 for code in CLASSES}


@pytest.mark.parametrize(
    ("malignant", "advice"),
    [
        (0.0, Advice.SELF_MONITOR),
        (0.0999, Advice.SELF_MONITOR),
        (0.1, Advice.ROUTINE_REFERRAL),
        (0.4999, Advice.ROUTINE_REFERRAL),
        (0.5, Advice.URGENT_REFERRAL),
        (1.0, Advice.URGENT_REFERRAL),
    ],
)
def test_a_threshold_belongs_to_the_more_urgent_advice(malignant: float, advice: Advice) -> None:
    assert advise(malignant, THRESHOLDS) is advice


def test_a_case_is_the_mean_of_its_images() -> None:
    case = combine([answer(0.1), answer(0.7)], [0.0, 0.0], THRESHOLDS)
    assert case.malignant == pytest.approx(0.4)
    assert case.uncertainty == pytest.approx(0.3)  # images that disagree are uncertain
    assert case.advice is Advice.ROUTINE_REFERRAL
    assert case.top_class == "NV"
    assert math.fsum(case.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        ([0.2, 0.01, 0.01], Advice.ROUTINE_REFERRAL),  # their mean, 0.073, is below the threshold
        ([0.9, 0.0, 0.0, 0.0], Advice.ROUTINE_REFERRAL),  # one image makes a case no more urgent than their mean
        ([0.9, 0.9, 0.0], Advice.URGENT_REFERRAL),
        ([0.09, 0.09], Advice.SELF_MONITOR),
    ],
)
def test_a_picture_that_alone_would_be_referred_is_not_outvoted(images: list[float], advice: Advice) -> None:
    assert combine([answer(share) for share in images], [0.0] * len(images), THRESHOLDS).advice is advice


def test_the_uncertainty_of_a_case_is_that_of_its_images_and_that_between_them() -> None:
    """Variances add up, and the images' own do not shrink with their number."""
    assert combine([answer(0.4)] * 3, [0.1, 0.3, 0.5], THRESHOLDS).uncertainty == pytest.approx(math.sqrt(0.35 / 3))
    both = combine([answer(0.1), answer(0.7)], [0.4, 0.4], THRESHOLDS)
    assert both.uncertainty == pytest.approx(0.5)


def test_networks_that_are_alone_agree_with_nobody() -> None:
    """Of a release with one member no spread is known, and that between pictures is another thing."""
    assert combine([answer(0.1), answer(0.7)], [None, None], THRESHOLDS).uncertainty is None
    assert combine([answer(0.1), answer(0.7)], [0.2, None], THRESHOLDS).uncertainty is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5)), min_size=1, max_size=6))
def test_a_case_is_never_surer_than_its_images_are_on_average(images: list[tuple[float, float]]) -> None:
    case = combine([answer(malignant) for malignant, _ in images], [spread for _, spread in images], THRESHOLDS)
    assert case.uncertainty is not None
    assert case.uncertainty >= min(spread for _, spread in images) - 1e-9
    low, high = min(malignant for malignant, _ in images), max(malignant for malignant, _ in images)
    assert low - 1e-9 <= case.malignant <= high + 1e-9


@pytest.mark.parametrize("taxonomy", [SEVEN, EIGHT, BINARY])
def test_a_case_keeps_the_taxonomy_of_its_images(taxonomy: Taxonomy) -> None:
    sure = {code: float(code == taxonomy.malignant[-1]) for code in taxonomy.codes}
    even = dict.fromkeys(taxonomy.codes, 1 / len(taxonomy.codes))
    case = combine([sure, even], [0.1, 0.1], THRESHOLDS)
    assert tuple(case.probabilities) == taxonomy.codes
    assert case.top_class == taxonomy.malignant[-1]
    assert case.malignant == pytest.approx((1 + len(taxonomy.malignant) / len(taxonomy.codes)) / 2)


@given(st.floats(0, 1), st.floats(0, 1), st.permutations([SEVEN, EIGHT, BINARY]))
def test_images_of_different_taxonomies_are_malignant_or_benign_together(
    first: float, second: float, taxonomies: list[Taxonomy]
) -> None:
    images = []
    for malignant, known in zip((first, second), taxonomies[:2], strict=True):
        shares = {True: malignant / len(known.malignant), False: 0.0}
        shares[False] = (1 - malignant) / (len(known.codes) - len(known.malignant))
        images.append({code: shares[code in known.malignant] for code in known.codes})
    case = combine(images, [0.0, 0.0], THRESHOLDS)
    assert tuple(case.probabilities) == BINARY.codes
    assert case.malignant == pytest.approx((first + second) / 2)
    assert case.probabilities["MALIGNANT"] == pytest.approx(case.malignant)
    assert math.fsum(case.probabilities.values()) == pytest.approx(1)
    assert case.uncertainty == pytest.approx(abs(first - second) / 2, abs=1e-7)
    alone = [advise(malignant, THRESHOLDS) for malignant in (first, second)]
    referred = any(advice is not Advice.SELF_MONITOR for advice in alone)
    assert (case.advice is not Advice.SELF_MONITOR) == referred


def test_without_an_image_there_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no answer"):
        combine([], [], THRESHOLDS)
    with pytest.raises(ValueError, match="no answer"):
        combine([answer(0.5)], [], THRESHOLDS)
