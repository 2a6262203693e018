"""The S3 server refuses what S3 refuses."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deploy.docker import create_bucket
from deploy.local.redis import free_port
from tests.ceph import S3Server

BUCKET = "test-ceph"
CALL: Any = vars(BaseClient)["_make_api_call"]


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    s3_server.client().create_bucket(Bucket=BUCKET)
    return BUCKET


def presigned(server: S3Server, method: str, bucket: str, key: str) -> str:
    """A URL that lets whoever has it do one thing with one object."""
    return server.client().generate_presigned_url(method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)


def test_a_presigned_upload_comes_back_from_a_presigned_download(s3_server: S3Server, bucket: str) -> None:
    body = bytes(range(256)) * 4096
    sent = httpx.put(presigned(s3_server, "put_object", bucket, "uploads/a b.jpg"), content=body)
    assert sent.status_code == 200
    received = httpx.get(presigned(s3_server, "get_object", bucket, "uploads/a b.jpg"))
    assert received.content == body


def test_a_presigned_upload_is_good_for_its_own_object_only(s3_server: S3Server, bucket: str) -> None:
    url = presigned(s3_server, "put_object", bucket, "uploads/mine")
    assert httpx.put(url.replace("/mine", "/yours"), content=b"x").status_code == 403
    assert httpx.put(url[:-4] + "0000", content=b"x").status_code == 403


def test_a_stranger_is_refused(s3_server: S3Server, bucket: str) -> None:
    assert httpx.get(f"{s3_server.endpoint}/{bucket}").status_code == 403
    stranger = S3Server(s3_server.endpoint, s3_server.access_key, "wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().list_objects_v2(Bucket=bucket)


def test_one_of_many_writers_creates_an_object(s3_server: S3Server, bucket: str) -> None:
    client = s3_server.client()

    def create(number: int) -> bool:
        try:
            client.put_object(Bucket=bucket, Key="once", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as writers:
        assert sum(writers.map(create, range(8))) == 1


def test_the_bucket_of_a_site_is_made_once(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment("made-by-migrate").items():
        monkeypatch.setenv(name, value)
    create_bucket.main()
    create_bucket.main()
    assert s3_server.client().list_objects_v2(Bucket="made-by-migrate")["KeyCount"] == 0


def may_not_create(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
    if operation == "CreateBucket":
        raise ClientError({"Error": {"Code": "AccessDenied"}}, operation)
    return CALL(client, operation, parameters)


def test_a_key_that_may_make_no_bucket_uses_the_one_that_is_there(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", may_not_create)
    for name, value in s3_server.environment(bucket).items():
        monkeypatch.setenv(name, value)
    create_bucket.main()
    monkeypatch.setenv("S3_BUCKET", "test-absent")
    with pytest.raises(SystemExit, match=r"no bucket test-absent, .* make it \(AccessDenied\)"):
        create_bucket.main()


def test_wrong_settings_of_storage_are_told_in_a_sentence(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment(BUCKET).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3_SECRET_KEY", "wrong")
    with pytest.raises(SystemExit, match=r"\(SignatureDoesNotMatch\). Look at S3_BUCKET"):
        create_bucket.main()
    monkeypatch.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SystemExit, match=r"cannot be asked\. Look at S3_ENDPOINT_URL"):
        create_bucket.main()


def test_elsewhere_than_in_the_first_region_a_bucket_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[dict[str, Any]]()

    def answer(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "CreateBucket":
            return asked.append(parameters)
        raise client.exceptions.NoSuchBucket({"Error": {"Code": "NoSuchBucket"}}, operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    monkeypatch.setenv("S3_BUCKET", "pictures")
    for region, place in (("us-east-1", {}), ("eu-central-1", {"LocationConstraint": "eu-central-1"})):
        monkeypatch.setenv("S3_REGION", region)
        create_bucket.main()
        assert asked.pop() == {"Bucket": "pictures"} | ({"CreateBucketConfiguration": place} if place else {})


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="only parallel runs share the server")
@pytest.mark.usefixtures("s3_server")
def test_all_tests_of_this_server_run_in_one_worker(request: pytest.FixtureRequest) -> None:
    # Some versions of pytest silently undo the grouping: then every worker would start a server of its own.
    assert request.node.nodeid.endswith("@servers")
