"""BentoML with its adaptive batching: `bentoml serve tests.bench.peer_servers.bentoml_server:Lesions`."""

from pathlib import Path
from typing import Any

import bentoml

from tests.bench.peer_servers.model import BATCH, Model


@bentoml.service(workers=1, traffic={"timeout": 120, "concurrency": BATCH})
class Lesions:
    """POST /predict with the image as the part `images` of a form."""

    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=120_000)
    def predict(self, images: list[Path]) -> list[dict[str, Any]]:
        """One answer for each image."""
        return self.model.answer([image.read_bytes() for image in images])
