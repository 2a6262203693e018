"""The same flow with a real S3 server: clients send to it directly, and it refuses what was not signed."""

import uuid
from typing import Any

import httpx
import pytest

from deploy.local.ceph import S3Server
from tests.ml.imaging.samples import encode, skin_photo
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.test_archives import expand_next, zipped
from webapp import storage
from webapp.cases.models import Image
from workers.intake import inspect_waiting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _bucket(s3_server: S3Server, settings: Any) -> None:
    """Storage in a fresh bucket of the server."""
    name = f"test-{uuid.uuid4().hex}"
    s3_server.client().create_bucket(Bucket=name)
    settings.STORAGE_BUCKET = name
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": name,
                "endpoint_url": s3_server.endpoint,
                "region_name": s3_server.region,
                "access_key": s3_server.access_key,
                "secret_key": s3_server.secret_key,
                "signature_version": "s3v4",
                "addressing_style": "path",
                "file_overwrite": True,
                "default_acl": None,
            },
        },
    }


def put(target: dict[str, Any], data: bytes) -> int:
    return httpx.request(target["method"], target["url"], headers=target["headers"], content=data).status_code


def test_a_whole_batch_goes_through_presigned_uploads(s3_server: S3Server) -> None:
    clinic = Clinic()
    batch = clinic.create(*(case(f"c{n}") for n in range(12)))
    for n, image in enumerate(batch["images"]):
        assert image["upload"]["url"].startswith(s3_server.endpoint)
        assert put(image["upload"], encode(skin_photo(seed=n), "JPEG")) == 200
        good(clinic.post(f"/images/{image['id']}/complete"))
    inspect_waiting()
    assert good(clinic.post(f"/batches/{batch['id']}/submit"))["progress"]["jobs"]["queued"] == 12
    for image in Image.objects.all():
        assert storage.size(image.upload_key) is None
        picture = clinic.get(f"/images/{image.pk}/clean")
        assert picture.getvalue()[:2] == b"\xff\xd8"


def test_the_server_refuses_what_was_not_signed(settings: Any) -> None:
    clinic = Clinic()
    image = clinic.create(case())["images"][0]
    target = image["upload"]
    assert put({**target, "url": target["url"][:-4] + "0000"}, b"x") == 403
    assert put({**target, "url": target["url"].replace(image["id"], str(uuid.uuid4()))}, b"x") == 403
    assert put({**target, "method": "DELETE"}, b"") == 403
    sized = good(clinic.post(f"/images/{image['id']}/upload-url", {"size": 5}))
    assert put({**sized, "headers": {}}, b"123456") == 403
    settings.UPLOAD_URL_SECONDS = -60
    assert put(good(clinic.post(f"/images/{image['id']}/upload-url")), b"x") == 403
    assert problem(clinic.post(f"/images/{image['id']}/complete"), 409)["code"] == "upload_missing"
    assert put(sized, b"12345") == 200
    good(clinic.post(f"/images/{image['id']}/complete"))


def test_an_archive_goes_through_the_server() -> None:
    clinic = Clinic()
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    assert put(batch["archive_upload"], zipped({f"{n}.jpg": b"x" * 100_000 for n in range(5)})) == 200
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    archive = expand_next()
    assert (archive.state, archive.report) == ("expanded", [])
    assert [storage.size(image.upload_key) for image in Image.objects.all()] == [100_000] * 5
    assert storage.size(archive.key) is None
