"""LitServe with its batching: `python -m tests.bench.peer_servers.litserve_server <port>`."""

import sys
from typing import Any

import litserve
from fastapi import Request

from tests.bench.peer_servers.model import BATCH, WINDOW_SECONDS, Model


class Lesions(litserve.LitAPI):
    """POST /predict with the image as the part `image` of a form."""

    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request: Request) -> bytes:
        return bytes(request["image"].file.read())

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def predict(self, x: list[bytes]) -> list[dict[str, Any]]:
        return self.model.answer(x)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Lesions(max_batch_size=BATCH, batch_timeout=WINDOW_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, timeout=120)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
