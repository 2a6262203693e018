"""A batch is as large as its device takes and gains by, and one that was too large costs no image its answer."""

from collections.abc import Sequence

import numpy as np
import pytest

from ml.advice import Advice
from ml.runtime import Prediction
from tests.factories import PROBABILITIES
from workers.predicting import LARGEST, PEOPLE_SECONDS, BatchSize, DeviceFailed

PIXELS = np.zeros((4, 4, 3), np.uint8)
POISON = np.ones((4, 4, 3), np.uint8)


def prediction() -> Prediction:
    heatmap = np.zeros((1, 1), np.float32)
    return Prediction(PROBABILITIES, PROBABILITIES, 0.7, ("MEL",), True, 0.1, Advice.URGENT_REFERRAL, heatmap)


class Device:
    """Holds so many images at once, and up to some size answers a batch in one second however many they are."""

    def __init__(self, *, memory: int = LARGEST, error: Exception | None = None, gains_up_to: int = LARGEST) -> None:
        self.memory, self.error, self.gains_up_to = memory, error or MemoryError(), gains_up_to
        self.seconds = 0.0

    def __call__(self, batch: Sequence[np.ndarray]) -> list[Prediction]:
        if len(batch) > self.memory:
            raise self.error
        if any(pixels[0, 0, 0] for pixels in batch):
            raise ValueError("poison")
        self.seconds += max(1, len(batch) / self.gains_up_to)
        return [prediction() for _ in batch]

    def found(self) -> int:
        """The size that a trial finds, by the device's own clock."""
        size = BatchSize(0)
        size.find(self, PIXELS, clock=lambda: self.seconds)
        return size.images


def test_the_batch_is_the_largest_that_gains() -> None:
    assert Device(gains_up_to=64).found() == 64


def test_memory_ends_the_trial() -> None:
    assert Device(memory=40).found() == 32


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying")])
def test_a_batch_that_memory_does_not_hold_is_halved_from_then_on(error: Exception) -> None:
    size = BatchSize(64)
    answers = size.predict(Device(memory=20, error=error), [PIXELS] * 64)
    assert (len(answers), None in answers, size.images) == (64, False, 16)


def test_a_poisonous_image_costs_its_own_answer_and_no_speed() -> None:
    size = BatchSize(8)
    answers = size.predict(Device(), [PIXELS] * 5 + [POISON] + [PIXELS] * 2)
    assert [answer is None for answer in answers] == [False] * 5 + [True] + [False] * 2
    assert size.images == 8


def test_a_device_that_answers_nothing_blames_no_image() -> None:
    with pytest.raises(DeviceFailed):
        BatchSize(8).predict(Device(memory=0, error=RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")), [PIXELS] * 3)


@pytest.mark.parametrize(("images", "fewest", "taken"), [(32, 8, 8), (4, 8, 4), (32, None, 16), (1, None, 1)])
def test_no_more_is_taken_than_the_device_needs_while_people_come(images: int, fewest: int | None, taken: int) -> None:
    size, now = BatchSize(images, fewest), 100.0
    assert size.to_take(clock=lambda: now) == images
    size.person_came(clock=lambda: now)
    assert size.to_take(clock=lambda: now + PEOPLE_SECONDS - 1) == taken
    assert size.to_take(clock=lambda: now + PEOPLE_SECONDS + 1) == images


@pytest.mark.parametrize(("seconds", "leased"), [(0.01, 128), (0.33, 96), (0.66, 64), (5.0, 32)])
def test_what_is_leased_takes_about_a_second_where_the_device_is_slow(seconds: float, leased: int) -> None:
    size, times = BatchSize(32, 8), iter([0.0, seconds, 9.0, 9.9])
    assert size.to_lease(4) == 128  # nothing is known yet
    size.predict(Device(), [PIXELS] * 32, clock=lambda: next(times))
    assert size.to_lease(4) == leased
    size.predict(Device(), [PIXELS], clock=lambda: next(times))  # a lone photo takes one core
    assert size.to_lease(4) == leased
