"""A page sends a large archive straight to object storage, so its content security policy has to name the server."""

import os
import runpy

import pytest

from deploy.local.stack import ROOT

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
def test_a_page_may_send_to_where_upload_addresses_lead(
    environment: dict[str, str], origins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("S3_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = runpy.run_path(str(ROOT / "webapp" / "settings.py"))
    assert settings["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["connect-src"] == ["'self'", *origins]
