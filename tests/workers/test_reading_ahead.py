"""What the inference worker reads while the model works."""

from collections.abc import Sequence

import numpy as np
import pytest

from ml.runtime import Prediction
from tests.factories import ReleaseFactory
from tests.workers.scenes import Model, submitted
from tests.workers.waiting import wait_for
from webapp import storage
from webapp.inference.models import Result
from workers import inference
from workers.predicting import BatchSize

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_model_takes_next_is_read_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    release = ReleaseFactory(active=True)
    monkeypatch.setattr(inference, "load_active", lambda: (release, Model()))
    monkeypatch.setattr(inference, "SIZE", BatchSize(2))
    monkeypatch.setattr(inference, "LEASED", 2)
    submitted(*[True] * 7)
    predict, read, seen = Model.predict, storage.read, list[int]()
    keys: set[str] = set()

    def look(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        # Its first two, and two of the same claim; while it is at the last of that, all of the next claim.
        wait_for(lambda: len(keys) == [4, 7, 7, 7][len(seen)], seconds=10)
        seen.append(len(keys))
        return predict(self, batch)

    def note(key: str) -> bytes:
        keys.add(key)
        return read(key)

    monkeypatch.setattr(Model, "predict", look)
    monkeypatch.setattr(storage, "read", note)
    inference.drain()

    assert seen == [4, 7, 7, 7]
    assert Result.objects.count() == 7
