"""The same flow with a real S3 server: clients send to it directly, and it refuses what was not signed."""

import time
import tracemalloc
import uuid
from itertools import count
from typing import Any
from unittest import mock

import httpx
import pytest

from tests.ceph import S3Server
from tests.ml.imaging.samples import encode, skin_photo, zipped
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.zips import expand_next
from webapp import leases, multipart, storage
from webapp.cases import unpacking
from webapp.cases.models import Image, PartedUpload
from webapp.cases.parts import forget_unknown_parts
from webapp.operations import readiness
from webapp.s3 import client_config
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
                "client_config": client_config(addressing="path"),
                "file_overwrite": True,
                "default_acl": None,
            },
        },
    }


def test_readiness_says_what_is_wrong_with_the_settings_of_storage(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def why() -> str:
        return next(check.why for check in readiness.readiness() if check.name == "storage")

    monkeypatch.setattr(readiness, "FRESH_SECONDS", -1.0)

    assert why() == ""
    name, settings.STORAGE_BUCKET = settings.STORAGE_BUCKET, "test-absent"
    assert "(NoSuchBucket)" in why()
    settings.STORAGE_BUCKET = name
    settings.STORAGES["default"]["OPTIONS"]["secret_key"] = "wrong"
    assert "(SignatureDoesNotMatch)" in why()


def test_what_storage_refuses_is_told_by_its_code(settings: Any) -> None:
    settings.STORAGES["default"]["OPTIONS"]["secret_key"] = "wrong"
    with pytest.raises(storage.StorageAway, match=r"^SignatureDoesNotMatch$"):
        storage.read("images/1.jpg")


def put(target: dict[str, Any], data: bytes) -> int:
    return httpx.request(target["method"], target["url"], headers=target["headers"], content=data).status_code


def test_a_whole_batch_goes_through_presigned_uploads(clinic: Clinic, s3_server: S3Server) -> None:
    batch = clinic.create(*(case(f"c{n}") for n in range(12)))
    for n, image in enumerate(batch["images"]):
        assert image["upload"]["url"].startswith(s3_server.endpoint)
        assert put(image["upload"], encode(skin_photo(seed=n), "JPEG")) == 200
    ids = [image["id"] for image in batch["images"]]
    answer = good(clinic.post(f"/batches/{batch['id']}/complete", {"images": ids}))
    assert [(image["id"], image["state"], image["problem"]) for image in answer["images"]] == [
        (image, "stored", None) for image in ids
    ]
    inspect_waiting()
    assert good(clinic.post(f"/batches/{batch['id']}/submit"))["progress"]["jobs"]["queued"] == 12
    for image in Image.objects.all():
        assert storage.size(image.upload_key) is None
        picture = clinic.get(f"/images/{image.pk}/clean")
        assert picture.getvalue()[:2] == b"\xff\xd8"


def test_the_server_refuses_what_was_not_signed(clinic: Clinic, settings: Any) -> None:
    image = clinic.create(case())["images"][0]
    target = image["upload"]
    assert put({**target, "url": target["url"][:-4] + "0000"}, b"x") == 403
    assert put({**target, "url": target["url"].replace(image["id"], str(uuid.uuid4()))}, b"x") == 403
    assert put({**target, "method": "DELETE"}, b"") == 403
    sized = good(clinic.post(f"/images/{image['id']}/upload-url", {"size": 5}))
    assert put({**sized, "headers": {}}, b"123456") == 403
    archive = good(clinic.post("/batches", {"archive": True, "archive_size": 5}), 201)["archive_upload"]
    assert put({**archive, "headers": {}}, b"123456") == 403
    assert put(archive, b"12345") == 200
    settings.UPLOAD_URL_SECONDS = -60
    assert put(good(clinic.post(f"/images/{image['id']}/upload-url")), b"x") == 403
    assert problem(clinic.post(f"/images/{image['id']}/complete"), 409)["code"] == "upload_missing"
    assert put(sized, b"12345") == 200
    good(clinic.post(f"/images/{image['id']}/complete"))


def test_an_archive_goes_through_the_server(clinic: Clinic) -> None:
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    assert put(batch["archive_upload"], zipped({f"{n}.jpg": b"x" * 100_000 for n in range(5)})) == 200
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    archive = expand_next()
    assert (archive.state, archive.report) == ("expanded", [])
    assert [storage.size(image.upload_key) for image in Image.objects.all()] == [100_000] * 5
    assert storage.size(archive.key) is None


def test_a_large_archive_is_read_in_pieces_and_held_meanwhile(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    assert put(batch["archive_upload"], zipped({"1.jpg": bytes(48 * 1024**2)})) == 200
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    held = mock.Mock(wraps=leases.extend)
    monkeypatch.setattr(unpacking, "time", mock.Mock(monotonic=count(step=2).__next__))  # a slow server
    monkeypatch.setattr(unpacking, "extend", held)

    tracemalloc.start()
    try:
        archive = expand_next()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (archive.state, [line["code"] for line in archive.report]) == ("expanded", ["too_large_bytes"])
    assert most < 32 * 1024**2  # of which 25 MiB are one file of it, as large as a photo may be
    assert held.call_count >= 48


def test_an_archive_that_grew_after_it_was_measured_is_refused(clinic: Clinic, settings: Any) -> None:
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    assert put(batch["archive_upload"], zipped({"1.jpg": b"x"})) == 200
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    settings.IMPORT_MAX_BYTES = 1_000_000
    assert put(batch["archive_upload"], zipped({"1.jpg": bytes(1_000_000)})) == 200
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "archive_too_large")
    assert storage.size(archive.key) is None


def test_an_archive_that_is_gone_says_so(clinic: Clinic) -> None:
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    assert put(batch["archive_upload"], zipped({"1.jpg": b"x"})) == 200
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    storage.delete(f"archives/{batch['id']}.zip")
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "upload_missing")


def test_a_large_file_comes_in_parts_and_goes_on_after_a_break(
    clinic: Clinic, s3_server: S3Server, settings: Any
) -> None:
    batch = good(clinic.post("/batches", {"archive": True}), 201)
    url, key = f"/batches/{batch['id']}/archive", f"archives/{batch['id']}.zip"
    data = zipped({"1.jpg": bytes(range(256)) * 50_000})  # 12.8 MB
    parts = good(clinic.post(f"{url}/parts", {"size": len(data)}))["parts"]
    assert [part["number"] for part in parts] == [1, 2]
    pieces = [data[: parts[0]["size"]], data[parts[0]["size"] :]]

    assert put(parts[1]["upload"], pieces[1]) == 200
    assert put({**parts[0]["upload"], "headers": {}}, b"another size") == 403
    assert problem(clinic.post(f"{url}/complete"), 409)["parts"] == [1]
    again = good(clinic.post(f"{url}/parts", {"size": len(data)}))["parts"]
    assert again[1]["upload"] is None
    assert put(again[0]["upload"], pieces[0]) == 200
    good(clinic.post(f"{url}/complete"), 202)

    assert storage.read(key) == data
    assert storage.read(key, limit=10) == data[:10]
    assert expand_next().state == "expanded"
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=settings.STORAGE_BUCKET)


def test_parts_that_the_server_has_forgotten_are_sent_anew(clinic: Clinic, s3_server: S3Server, settings: Any) -> None:
    url = f"/images/{clinic.create(case())['images'][0]['id']}"
    first = good(clinic.post(f"{url}/parts", {"size": 5}))["parts"][0]
    upload = PartedUpload.objects.get()
    s3_server.client().abort_multipart_upload(Bucket=settings.STORAGE_BUCKET, Key=upload.key, UploadId=upload.upload_id)
    assert put(first["upload"], b"12345") == 404
    assert problem(clinic.post(f"{url}/complete"), 409)["parts"] == [1]
    assert put(good(clinic.post(f"{url}/parts", {"size": 5}))["parts"][0]["upload"], b"12345") == 200
    assert good(clinic.post(f"{url}/complete"))["state"] == "stored"


def test_parts_that_no_row_names_are_forgotten_once_nobody_can_await_them(s3_server: S3Server, settings: Any) -> None:
    batch = Clinic().create(case("c1", "a.jpg"))
    image = Image.objects.get(pk=batch["images"][0]["id"])
    known = multipart.begin(image.upload_key)
    PartedUpload.objects.create(batch=image.batch, key=image.upload_key, upload_id=known, size=1)
    multipart.begin(image.upload_key)  # and its request dies
    s3_server.client().create_multipart_upload(Bucket=settings.STORAGE_BUCKET, Key="others/1")
    assert forget_unknown_parts() == 0
    settings.UPLOAD_EXPIRES_HOURS = 0
    time.sleep(1)  # the server counts seconds
    assert (forget_unknown_parts(), forget_unknown_parts()) == (1, 0)
    left = s3_server.client().list_multipart_uploads(Bucket=settings.STORAGE_BUCKET)["Uploads"]
    assert {upload["Key"] for upload in left} == {image.upload_key, "others/1"}
    assert multipart.arrived(image.upload_key, known) == {}


def test_parts_that_are_given_up_leave_nothing_on_the_server(
    clinic: Clinic, s3_server: S3Server, settings: Any
) -> None:
    url = f"/images/{clinic.create(case())['images'][0]['id']}/parts"
    part = good(clinic.post(url, {"size": 5}))["parts"][0]
    assert put(part["upload"], b"12345") == 200
    for _ in range(2):
        assert clinic.http.delete(f"/api/v1{url}").status_code == 204
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=settings.STORAGE_BUCKET)
    assert put(part["upload"], b"12345") == 404
