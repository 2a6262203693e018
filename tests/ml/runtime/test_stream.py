import threading
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from ml.imaging.refusal import ImageRefused
from ml.runtime import Prediction, Runtime
from ml.runtime.stream import AHEAD, stream
from tests.ml.conftest import jpeg


def test_answers_come_in_order_beside_refusals(runtime: Runtime, rng: np.random.Generator) -> None:
    files = {f"{index}": jpeg(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)) for index in range(7)}
    files["3"] = b"no image"
    answers = list(stream(runtime, files, files.__getitem__, batch=3))
    assert [key for key, _ in answers] == list(files)
    assert isinstance(answers.pop(3)[1], ImageRefused)
    for key, answer in answers:
        assert isinstance(answer, Prediction)
        (alone,) = runtime.predict([runtime.prepare(files[key])])
        assert answer.malignant == pytest.approx(alone.malignant, abs=1e-5)
    assert list(stream(runtime, [], files.__getitem__)) == []


def test_a_storage_that_fails_is_not_a_refusal(runtime: Runtime) -> None:
    def read(key: str) -> bytes:
        raise FileNotFoundError(key)

    with pytest.raises(FileNotFoundError):
        list(stream(runtime, ["gone"], read))


class Slow:
    """A runtime whose model waits until the images after its batch have been prepared."""

    def __init__(self) -> None:
        self.prepared = threading.Semaphore(0)

    def prepare(self, data: bytes) -> bytes:
        self.prepared.release()
        return data

    def predict(self, batch: list[Any]) -> list[Any]:
        for _ in batch:
            assert self.prepared.acquire(timeout=10)  # its own
            assert self.prepared.acquire(timeout=10)  # one of the next batch
        for _ in batch:
            self.prepared.release()
        return batch


def test_the_next_batch_is_prepared_while_the_model_works() -> None:
    """And no more than that, however many images there are."""
    taken: list[int] = []

    def images() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    answers = stream(cast(Runtime, Slow()), images(), lambda key: b"%d" % key, batch=4)
    key, answer = next(answers)
    assert (key, cast(Any, answer)) == (0, b"0")
    assert len(taken) == (AHEAD + 1) * 4
    answers.close()  # type: ignore[attr-defined]
