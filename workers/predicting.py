"""How many images a model takes at once on this device, and what to do when they were too many."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from ml.runtime import Prediction

logger = structlog.get_logger(__name__)
SMALLEST, LARGEST = 8, 512
PEOPLE_SECONDS = 60  # how long after a person's photo the next one is expected
TURN_SECONDS = 1.0
GAIN = 1.05  # a batch twice as large that is not even this much faster only makes people wait
NO_MEMORY = ("out of memory", "oom", "resource_exhausted", "alloc")  # as the backends say it, beside MemoryError


class DeviceFailed(Exception):
    """The device answers nothing any more, not even a blank image: no image is to blame."""


Predict = Callable[[Sequence[np.ndarray]], list[Prediction]]


@dataclass
class BatchSize:
    """The number of images that are given to the model at once; `fewest` keep all of the device at work, if known.

    `pace` is how many seconds an image took in the last batch that did so.
    """

    images: int
    fewest: int | None = None
    people_until: float = 0.0
    pace: float = 0.0

    def person_came(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Somebody waits for an answer, and the next person probably comes soon."""
        self.people_until = clock() + PEOPLE_SECONDS

    def to_take(self, *, clock: Callable[[], float] = time.monotonic) -> int:
        """How many to take now: as few as keep the device at work while people come, since they wait for what is at the
        model; half a batch where that number is not known.
        """
        if clock() >= self.people_until:
            return self.images
        return min(self.images, self.fewest or max(1, self.images // 2))

    def to_lease(self, batches: int) -> int:
        """How many to lease at once: `batches`, or as few of them as take about TURN_SECONDS, so that a clinic that has
        just come waits no longer for its turn.
        """
        if self.pace:
            batches = min(batches, max(1, round(TURN_SECONDS / (self.pace * self.images))))
        return batches * self.images

    def check(self, predict: Predict, blank: np.ndarray) -> None:
        """Raises DeviceFailed where the device does not answer a blank image."""
        try:
            predict([blank])
        except Exception as error:
            raise DeviceFailed from error

    def find(self, predict: Predict, pixels: np.ndarray, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Try batches of `pixels`, each twice the one before, as long as the device answers more images a second."""
        self.images, best, tried = SMALLEST, 0.0, SMALLEST
        while tried <= LARGEST:
            try:
                predict([pixels] * tried)  # the first of a size is compiled for it
                started = clock()
                predict([pixels] * tried)
                rate = tried / (clock() - started)
            except Exception as error:  # what a device raises without memory has no common name
                logger.info("batch_too_large", images=tried, error=type(error).__name__)
                break
            if rate < best * GAIN:
                break
            self.images, best, tried = tried, rate, tried * 2
        logger.info("batch_size_found", images=self.images, images_a_second=round(best))

    def predict(
        self, predict: Predict, images: Sequence[np.ndarray], *, clock: Callable[[], float] = time.perf_counter
    ) -> list[Prediction | None]:
        """Predictions in order; None for an image that the model cannot take.

        A batch that fails, for want of memory or for one poisonous image, is halved until what works has worked. Where
        memory was what failed, later batches are half as large. Raises DeviceFailed where a lone image fails and a
        blank one does too.
        """
        if not images:
            return []
        started = clock()
        try:
            predictions: list[Prediction | None] = list(predict(images))
        except Exception as error:
            logger.warning("model_failed", images=len(images), error=type(error).__name__)
            if len(images) == 1:
                self.check(predict, np.zeros_like(images[0]))
                return [None]
            half = len(images) // 2
            if isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY):
                self.images = max(1, min(self.images, half))
            return self.predict(predict, images[:half]) + self.predict(predict, images[half:])
        if len(images) >= (self.fewest or self.images):
            self.pace = (clock() - started) / len(images)
        return predictions
