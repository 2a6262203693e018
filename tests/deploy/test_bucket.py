"""The rules that a bucket needs, set as docs/kubernetes.md says on a real S3 server."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from tests.ceph import S3Server

FOLDER = Path("deploy/kubernetes")
LIFECYCLE, CORS = (json.loads((FOLDER / name).read_text()) for name in ("lifecycle.json", "cors.json"))


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    name = f"test-{uuid.uuid4().hex}"
    s3_server.client().create_bucket(Bucket=name)
    return name


def test_uploads_that_nobody_completes_end_but_never_one_that_is_awaited(s3_server: S3Server, bucket: str) -> None:
    client = s3_server.client()
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=LIFECYCLE)
    [rule] = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Status"] == "Enabled"
    assert not {name for name in rule if "Expiration" in name}  # nothing that is stored goes
    assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] * 24 > settings.UPLOAD_EXPIRES_HOURS


def preflight(server: S3Server, bucket: str, origin: str, method: str) -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    return httpx.options(f"{server.endpoint}/{bucket}/archives/a.zip", headers=asked).headers


def test_the_sites_pages_may_put_and_nobody_elses(s3_server: S3Server, bucket: str) -> None:
    s3_server.client().put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS)
    pairs = [line.partition("=") for line in (FOLDER / "base/settings.env").read_text().splitlines()]
    site = {name: value for name, _, value in pairs}["SITE_URL"]
    allowed = preflight(s3_server, bucket, site, "PUT")
    assert allowed["access-control-allow-origin"] == site
    assert "PUT" in allowed["access-control-allow-methods"]
    assert "access-control-allow-origin" not in preflight(s3_server, bucket, "https://elsewhere.example", "PUT")
    assert "access-control-allow-origin" not in preflight(s3_server, bucket, site, "DELETE")
