"""A page sends a large archive straight to object storage, so its content security policy has to name the server."""

import json
import os
import subprocess
import sys

import pytest

PRINT = "import json, webapp.settings as s; print(json.dumps(s.CONTENT_SECURITY_POLICY['DIRECTIVES']['connect-src']))"
AMAZON = "https://s3.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("environment", "origins"),
    [
        ({}, []),
        ({"S3_BUCKET": "b", "S3_ENDPOINT_URL": AMAZON}, [AMAZON]),
        ({"S3_BUCKET": "b", "S3_ENDPOINT_URL": "http://s3:7070", "S3_PUBLIC_ENDPOINT_URL": AMAZON}, [AMAZON]),
        (
            {"S3_BUCKET": "b", "S3_ENDPOINT_URL": AMAZON, "S3_ADDRESSING_STYLE": "virtual"},
            ["https://b.s3.eu-central-1.amazonaws.com"],
        ),
        ({"S3_BUCKET": "b", "S3_ADDRESSING_STYLE": "virtual"}, ["https://*.amazonaws.com"]),
    ],
)
def test_a_page_may_send_to_where_upload_addresses_lead(environment: dict[str, str], origins: list[str]) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("S3_")}
    printed = subprocess.run(
        [sys.executable, "-c", PRINT], env=inherited | environment, capture_output=True, check=True
    )
    assert json.loads(printed.stdout) == ["'self'", *origins]
