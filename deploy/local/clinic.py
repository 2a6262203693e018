"""A clinic's software, as small as it can be: it submits a batch through the public API and collects the results."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

UPLOADS_AT_ONCE = 4
COMPLETED_AT_ONCE = 100  # so that the first images are checked while the last are sent
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Photo:
    """One case with one image, as the clinic knows it. `dx` is what the clinic knows of it, and is not sent."""

    case_id: str
    patient_id: str
    filename: str
    data: bytes
    dx: str = ""
    lesion_id: str = ""
    age: int | None = None
    sex: str = "unknown"
    anatom_site: str = ""
    patient_email: str = ""
    patient_date_of_birth: str = ""

    def manifest(self) -> dict[str, Any]:
        """The case as the API takes it."""
        fields = {
            "case_id": self.case_id,
            "patient_id": self.patient_id,
            "lesion_id": self.lesion_id,
            "age": self.age,
            "sex": self.sex,
            "anatom_site": self.anatom_site,
            "patient_email": self.patient_email,
            "patient_date_of_birth": self.patient_date_of_birth,
            "images": [self.filename],
        }
        return {name: value for name, value in fields.items() if value not in (None, "")}


class Clinic:
    """A session with the API. Every answer that is an error raises httpx.HTTPStatusError."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{base_url}/api/v1/",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=60,
            transport=httpx.HTTPTransport(retries=3),
        )
        self._storage = httpx.Client(timeout=60)  # the key is not sent there

    def close(self) -> None:
        self._http.close()
        self._storage.close()

    def submit(
        self, photos: Sequence[Photo], *, name: str, on_upload: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Create a batch, upload every image, submit; gives the batch. `on_upload` is called after each image."""
        batch = self.post(
            "batches",
            {"name": name, "cases": [photo.manifest() for photo in photos]},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        data = {(photo.case_id, photo.filename): photo.data for photo in photos}

        def upload(image: Mapping[str, Any]) -> None:
            content, target = data[image["case_id"], image["filename"]], image["upload"]
            sent = self._storage.request(target["method"], target["url"], headers=target["headers"], content=content)
            sent.raise_for_status()
            on_upload()

        images = batch["images"]
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            for begin in range(0, len(images), COMPLETED_AT_ONCE):
                some = images[begin : begin + COMPLETED_AT_ONCE]
                list(pool.map(upload, some))
                self.complete(batch["id"], [image["id"] for image in some])
        return self.post(f"batches/{batch['id']}/submit")

    def complete(self, batch_id: str, image_ids: Sequence[str]) -> None:
        """Say that these images have been uploaded. Raises RuntimeError where a file has not arrived."""
        answer = self.post(f"batches/{batch_id}/complete", {"images": image_ids})
        if problems := [image for image in answer["images"] if image["problem"]]:
            raise RuntimeError(f"Not complete: {problems}")

    def batch(self, batch_id: str) -> dict[str, Any]:
        """The batch as it stands: `state`, `remaining` and counts."""
        return self._get(f"batches/{batch_id}")

    def progress(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """The batch again and again, until it has ended."""
        while True:
            batch = self.batch(batch_id)
            yield batch
            if batch["state"] not in ("open", "submitted"):
                return
            time.sleep(POLL_SECONDS)

    def cases(self, batch_id: str) -> list[dict[str, Any]]:
        """Every case of a batch with its result."""
        return list(self.pages("cases", batch=batch_id))

    def case(self, case_id: str) -> dict[str, Any]:
        """One case with its images and their results."""
        return self._get(f"cases/{case_id}")

    def refused(self, batch_id: str) -> dict[str, str]:
        """Why images of a batch were refused, by the clinic's own id of the case."""
        return {
            image["case_id"]: image["reason"] for image in self.pages(f"batches/{batch_id}/images", state="rejected")
        }

    def results_csv(self, batch_id: str) -> bytes:
        """The batch's results as the CSV file that a clinic keeps."""
        return self.download(f"batches/{batch_id}/results.csv")

    def release(self, case_id: str, note: str) -> dict[str, Any]:
        """Give a case's result to its patient."""
        return self.post(f"cases/{case_id}/release", {"note": note})

    def download(self, address: str) -> bytes:
        """A file of the API, such as a heatmap."""
        response = self._http.get(address)
        response.raise_for_status()
        return response.content

    def pages(self, address: str, **query: str) -> Iterator[dict[str, Any]]:
        """Every row of a list, page after page."""
        page = self._get(address, page_size=500, **query)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self._get(page["next"])

    def _get(self, address: str, **query: str | int) -> dict[str, Any]:
        response = self._http.get(address, params=query or None)
        response.raise_for_status()
        return dict(response.json())

    def post(
        self, address: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What the API answers to this body."""
        response = self._http.post(address, json=body or {}, headers=headers)
        response.raise_for_status()
        return dict(response.json())
