"""A model that needs no network, and batches for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml.advice import Advice
from ml.runtime import Prediction
from tests.factories import PROBABILITIES, BatchFactory, CaseFactory, ImageFactory
from tests.ml.imaging.samples import encode, skin_photo
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch
from webapp.cases.services import submit_batch


class Model:
    """Recognises a file whose last byte is not zero."""

    fewest = None

    def prepare(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data[-1:], dtype=np.uint8)

    def predict(self, batch: Sequence[np.ndarray]) -> list[Prediction]:
        return [
            Prediction(
                probabilities=PROBABILITIES,
                decision=PROBABILITIES,
                malignant=0.74,
                plausible=("MEL",),
                recognised=bool(pixels[0]),
                uncertainty=0.05,
                advice=Advice.URGENT_REFERRAL,
                heatmap=np.zeros((8, 8), np.float32),
            )
            for pixels in batch
        ]


def submitted(*recognised: bool, **fields: Any) -> Batch:
    """A batch of one case whose pictures the model recognises or not: it looks at the last byte of the file."""
    batch = BatchFactory(**fields)
    case = CaseFactory(batch=batch)
    for number, known in enumerate(recognised):
        image = ImageFactory(case=case, ready=True, filename=f"{number}.jpg")
        storage.write(image.clean_key, encode(skin_photo(), "JPEG") + bytes([known]))
    return submit_batch(actor=SYSTEM, batch=batch)
