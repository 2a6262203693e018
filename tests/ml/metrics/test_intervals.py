import pytest

from ml.metrics import intervals


def test_what_none_of_few_lesions_leaves_open() -> None:
    assert intervals.of_none(12) == pytest.approx(0.2425, abs=1e-4)  # Wilson, of 12
    for margin in (0.03, 0.05, 0.1, 0.5):
        fewest = intervals.needed(margin)
        assert intervals.of_none(fewest) <= margin < intervals.of_none(fewest - 1)
    assert (intervals.needed(0.05), intervals.needed(0.1)) == (73, 35)


def test_a_paired_loss_is_bounded_as_published() -> None:
    """Airway reactivity before and after transplantation, in Fagerland, Lydersen, Laake, Recommended tests and
    confidence intervals for paired binomial proportions, Statistics in Medicine 2014: -0.517 to -0.026 by Tango.
    """
    assert intervals.most_lost(7, 1, 21) == pytest.approx(0.517, abs=1e-3)
    assert -intervals.most_lost(1, 7, 21) == pytest.approx(0.026, abs=1e-3)


def test_a_paired_loss_of_nothing_is_that_of_one_share_and_of_everything_is_everything() -> None:
    for lesions in (1, 30, 500):
        assert intervals.most_lost(0, 0, lesions) == pytest.approx(intervals.of_none(lesions), abs=1e-5)
        assert intervals.most_lost(lesions, 0, lesions) == pytest.approx(1)
    assert intervals.most_lost(0, 72, 72) < -0.8
