"""The door to the internet lets in what the site takes, and keeps slow senders away from its threads."""

import re
import uuid

import pytest
from django.conf import settings
from django.urls import resolve, reverse

from deploy.local.commands import COMMANDS
from tests.deploy.manifests import ROOT
from webapp import storage
from webapp.operations.middleware import IN_ALL, WAITED_FOR

CADDYFILE = (ROOT / "deploy" / "docker" / "Caddyfile").read_text()
FORM = re.compile(r"<form[^>]*>")
ADDRESS = re.compile(r"""action="{% url '([\w:]+)'""")
UNITS = {"KiB": 1024, "MB": 1000**2, "MiB": 1024**2}


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


PATHS = {name: paths.split() for name, paths in re.findall(r"@(\w+) (?:not )?path (.+)", CADDYFILE)}
LIMITS = {name: size(limit) for name, limit in re.findall(r"request_body @(\w+) \{\s+max_size (\w+)", CADDYFILE)}


def test_an_ordinary_body_has_come_whole_before_a_thread_is_asked() -> None:
    [buffered] = re.findall(r"request_buffers (\w+)", CADDYFILE)
    assert LIMITS["rest"] <= size(buffered)
    assert PATHS["rest"] == [*PATHS["photos"], *PATHS["files"]]


def test_larger_bodies_leave_half_of_the_threads_to_all_others() -> None:
    [buffered] = re.findall(r"request_buffers (\w+)", CADDYFILE)
    [threads] = re.findall(r"--threads (\d+)", COMMANDS["web"].line)
    assert size(buffered) == WAITED_FOR
    assert int(threads) >= 2 * IN_ALL


def test_who_neither_sends_nor_reads_on_is_let_go() -> None:
    minutes = {what: int(count) for what, count in re.findall(r"(read_body|write) (\d+)m ", CADDYFILE)}
    assert minutes["write"] > minutes["read_body"]  # it begins with the request, which may take that long to come


def test_what_the_site_takes_comes_through() -> None:
    assert LIMITS["images"] > settings.UPLOAD_MAX_BYTES
    assert LIMITS["photos"] > 3 * settings.UPLOAD_MAX_BYTES
    assert LIMITS["files"] > settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_only_an_archive_may_be_as_large_as_an_archive() -> None:
    assert PATHS["archives"] == PATHS["images"] == [f"/{{$S3_BUCKET}}/{storage.ARCHIVES}*"]
    assert re.findall(r"request_body @(\w+) \{\s+max_size \{\$IMPORT_MAX_BYTES\}", CADDYFILE) == ["archives"]
    assert not re.findall(r"request_body \{", CADDYFILE)


def test_what_may_be_large_is_each_form_with_files_and_the_api() -> None:
    forms = [form for page in ROOT.glob("webapp/*/templates/**/*.html") for form in FORM.findall(page.read_text())]
    with_files = {address for form in forms if "multipart/form-data" in form for address in ADDRESS.findall(form)}
    assert len(with_files) > 1
    paths = [*PATHS["photos"], *PATHS["files"]]
    assert "/api/*" in paths
    names = {resolve(path.replace("/*/", f"/{uuid.uuid4()}/")).view_name for path in paths if path != "/api/*"}
    assert names == with_files


@pytest.mark.parametrize(
    "secret",
    [
        reverse("patient:link", args=["secret"]),
        reverse("account_reset_password_from_key", args=["0", "secret"]),
        reverse("cases:put_upload", args=["secret"]),
        "/lesionlens-images/uploads/secret?X-Amz-Signature=secret",
        "/?next=secret",
    ],
)
def test_no_secret_of_an_address_is_logged(secret: str) -> None:
    """Caddy logs the address of each request that it cannot pass on, and its headers, the referring page among them."""
    [(pattern, kept)] = re.findall(r'request>uri regexp "(.+)" "(.+)"', CADDYFILE)
    assert re.fullmatch(r"/[a-z-]*", re.sub(pattern, kept.replace("$", "\\"), secret))
    assert "request>headers delete" in CADDYFILE
