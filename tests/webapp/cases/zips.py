"""Batches whose pictures come in a ZIP."""

from typing import Any

from tests.ml.imaging.samples import encode, skin_photo
from tests.webapp.api.clinic import Clinic, good, problem
from webapp.cases.archives import claim_archive
from webapp.cases.models import Archive, Batch
from webapp.cases.unpacking import expand


def photo(seed: int = 0) -> bytes:
    """A picture that no other seed gives."""
    return encode(skin_photo(160 + seed, 120), "JPEG")


def sent(clinic: Clinic, data: bytes, **options: Any) -> Batch:
    """A batch whose archive was uploaded and completed through the API."""
    return complete(clinic, good(clinic.post("/batches", {"archive": True}), 201), data, **options)


def complete(clinic: Clinic, batch: dict[str, Any], data: bytes, **options: Any) -> Batch:
    """The batch that awaits an archive, once that was uploaded and completed."""
    path = batch["archive_upload"]["url"].removeprefix("http://127.0.0.1:8000")
    assert clinic.http.put(path, data, "application/zip").status_code == 204
    answer = good(clinic.post(f"/batches/{batch['id']}/archive/complete", options), 202)
    assert answer["state"] == "stored"
    assert problem(clinic.post(f"/batches/{batch['id']}/submit"), 409)["code"] == "archive_pending"
    return Batch.objects.get(pk=batch["id"])


def expand_next() -> Archive:
    """What a worker does with the archive that waits."""
    leased = claim_archive()
    assert leased is not None
    token, archive = leased
    assert expand(token, archive)
    archive.refresh_from_db()
    return archive


def codes(archive: Archive) -> list[tuple[str, str]]:
    """What was left out, and why."""
    return [(line["name"], line["code"]) for line in archive.report]


def images(batch: Batch) -> list[tuple[str, str, str]]:
    """Each image: its case, its file and its state."""
    return sorted(batch.images.values_list("case__external_id", "filename", "state"))
