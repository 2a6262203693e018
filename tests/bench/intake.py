"""How fast a clinic's backlog comes in: `python -m tests.bench.intake [--scale 0.1]`.

A manifest of 10,000 cases through the API, each with one image and the answer with a presigned URL for each; URLs
alone, as a client asks for them page by page; and a ZIP of 1,000 images, from the first byte sent until every image is
checked and waits for the model. All of it twice: with a folder for storage, and with an S3 server on the same machine
(Ceph's, which `make system-packages` installs), for which each URL is signed in S3's way. No inference worker runs, so
the figures are of the intake alone.
"""

import io
import sys
import time
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import httpx

from deploy.local.clinic import UPLOADS_AT_ONCE, Clinic, Photo
from deploy.local.commands import COMMANDS
from tests.bench.figures import Figure
from tests.bench.report import alone
from tests.bench.service import INFERENCE, Service, photos, running_service, wait_for
from tests.ceph import ceph_s3, missing_programs

CASES = 10_000
IMAGES = 1000
MANIFEST_SECONDS = 10
BUCKET = "intake"
PAGE = 500
"""URLs in one page, the most that the API gives."""


@dataclass(frozen=True)
class Times:
    """Seconds, but `urls`, which are URLs a second."""

    first: float
    repeat: float
    urls: float
    sent: float
    unpacked: float
    queued: float


def measure(scale: float) -> Sequence[Figure]:
    """Seconds for the manifest, URLs a second, and seconds for the ZIP, with each storage.

    Raises RuntimeError where this machine has no S3 server.
    """
    if programs := missing_programs():
        raise RuntimeError(f"an S3 server needs {', '.join(programs)}: make system-packages")
    cases, images = max(PAGE, round(CASES * scale)), max(10, round(IMAGES * scale))
    pictures = photos(images)
    found = figures("a folder", take_in(cases, pictures), cases, images)
    with ceph_s3() as server:
        server.client().create_bucket(Bucket=BUCKET)
        return [*found, *figures("S3", take_in(cases, pictures, server.environment(BUCKET)), cases, images)]


def take_in(cases: int, pictures: Sequence[Photo], environment: Mapping[str, str] | None = None) -> Times:
    """How long a service with this storage takes."""
    others = [name for name in COMMANDS if name != INFERENCE]
    with running_service(services=others, environment=environment) as service:
        clinic = service.clinic("intake")
        first, repeat, batch = send_manifest(clinic, cases)
        urls = ask_for_urls(clinic, batch, cases)
        times = Times(first, repeat, urls, *send_archive(service, clinic, pictures))
        clinic.close()
    return times


def figures(storage: str, times: Times, cases: int, images: int) -> Sequence[Figure]:
    """The rows of one storage."""
    met = times.first <= MANIFEST_SECONDS if cases >= CASES else None
    zipped = f"{images} images of 600 × 450 in parts, {UPLOADS_AT_ONCE} at once"
    checked = images / (times.queued - times.sent)
    rows = [
        Figure("manifest accepted", times.first, "s", f"≤ {MANIFEST_SECONDS}", met, f"{cases} cases, each with a URL"),
        Figure("the same manifest again", times.repeat, "s", note="the same Idempotency-Key: fresh URLs, nothing made"),
        Figure("presigned URLs", times.urls, "URLs/s", note=f"in pages of {PAGE}, one after the other"),
        Figure("ZIP sent", times.sent, "s", note=zipped),
        Figure("ZIP unpacked", times.unpacked, "s", note="from the first byte sent"),
        Figure(
            "ZIP checked and queued", times.queued, "s", note="from the first byte sent until all wait for the model"
        ),
        Figure("images checked", checked, "images/s", note="unpacked, decoded, judged, stored again"),
    ]
    return [replace(row, name=f"{storage}: {row.name}") for row in rows]


def send_manifest(clinic: Clinic, cases: int) -> tuple[float, float, str]:
    """Seconds until a manifest is answered, and again with the same key; and the batch's id."""
    rows = [
        {"case_id": f"C-{n}", "patient_id": f"P-{n % 7000}", "age": n % 90, "sex": "female", "images": [f"{n}.jpg"]}
        for n in range(cases)
    ]
    key = {"Idempotency-Key": str(uuid.uuid4())}
    seconds = []
    for _ in range(2):
        started = time.monotonic()
        batch = clinic.post("batches", {"name": "backlog", "cases": rows}, headers=key)
        seconds.append(time.monotonic() - started)
        if len({image["upload"]["url"] for image in batch["images"]}) != cases:
            raise RuntimeError("not every image has a URL of its own")
    return seconds[0], seconds[1], str(batch["id"])


def ask_for_urls(clinic: Clinic, batch: str, cases: int) -> float:
    """URLs a second."""
    started = time.monotonic()
    urls = sum(1 for image in clinic.pages(f"batches/{batch}/images", state="awaiting_upload") if image["upload"])
    if urls != cases:
        raise RuntimeError(f"{urls} URLs for {cases} images")
    return urls / (time.monotonic() - started)


def send_archive(service: Service, clinic: Clinic, pictures: Sequence[Photo]) -> tuple[float, float, float]:
    """Seconds until a ZIP has been sent, has been unpacked, and until all its images wait for the model."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for photo in pictures:
            archive.writestr(photo.filename, photo.data)
    data = packed.getvalue()
    batch = clinic.post("batches", {"name": "archive", "archive": True})["id"]
    started = time.monotonic()
    parts = clinic.post(f"batches/{batch}/archive/parts", {"size": len(data)})["parts"]
    begins = [sum(part["size"] for part in parts[:n]) for n in range(len(parts))]

    def put(begin: int, number: int) -> None:
        part = parts[number]
        piece = data[begin : begin + part["size"]]
        httpx.put(part["upload"]["url"], content=piece, timeout=60).raise_for_status()

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        list(pool.map(put, begins, range(len(parts))))
    clinic.post(f"batches/{batch}/archive/complete")
    sent = time.monotonic() - started
    state = "SELECT 1 FROM cases_archive WHERE batch_id = %s AND state = 'stored'"
    wait_for(lambda: not service.query(state, batch), timeout=600)
    unpacked = time.monotonic() - started
    service.wait_for_intake(batch)
    clinic.post(f"batches/{batch}/submit")
    return sent, unpacked, time.monotonic() - started


if __name__ == "__main__":
    sys.exit(alone("intake", measure))
