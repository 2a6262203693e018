"""The S3 server refuses what S3 refuses."""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from botocore.exceptions import ClientError

from deploy.docker import create_bucket
from tests.ceph import S3Server

BUCKET = "test-ceph"


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


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="only parallel runs share the server")
@pytest.mark.usefixtures("s3_server")
def test_all_tests_of_this_server_run_in_one_worker(request: pytest.FixtureRequest) -> None:
    # Some versions of pytest silently undo the grouping: then every worker would start a server of its own.
    assert request.node.nodeid.endswith("@servers")
