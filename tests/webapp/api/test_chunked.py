"""A body whose length is not said, at the web server that runs the site: as some clients send every JSON."""

import os
import shlex
import socket
import sys
from collections.abc import Iterator

import httpx
import pytest
from django.db import connection

from deploy.local.commands import COMMANDS
from deploy.local.process import Process
from deploy.local.redis import LOOPBACK, free_port
from deploy.local.stack import ROOT
from tests.factories import CaseResultFactory, api_key

pytestmark = pytest.mark.django_db(transaction=True)
MEGABYTE = b" " * 1024**2


@pytest.fixture(scope="module")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site's web process, on the database of the tests."""
    port = free_port()
    database = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "SITE_URL": f"http://{LOOPBACK}:{port}",
        "GUNICORN_CMD_ARGS": f"--bind {LOOPBACK}:{port}",
    }
    argv = [sys.executable, "-m", *shlex.split(COMMANDS["web"].line)]
    web = Process("web", argv, log=tmp_path_factory.mktemp("site") / "web.log", env=environment, cwd=ROOT)
    web.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as patient:  # until it listens
            patient.get(f"http://{LOOPBACK}:{port}/healthz")
        yield f"http://{LOOPBACK}:{port}"
    finally:
        web.stop()


def test_a_body_in_chunks_is_read_whole_and_no_further_than_any_other(site: str) -> None:
    key, secret = api_key()
    case = CaseResultFactory(case__batch__organisation=key.organisation).case
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"{site}/api/v1/", headers=headers, timeout=60) as api:
        released = api.post(f"cases/{case.pk}/release", content=iter([b'{"note": ', b'"Please ', b'call us."}']))
        assert (released.status_code, released.json()["review"]["note"]) == (200, "Please call us.")
        made = api.post(
            "batches?name=Monday", content=iter([b"images\n", b"a.jpg\n"]), headers={"Content-Type": "text/csv"}
        )
        assert (made.status_code, made.json()["name"], len(made.json()["images"])) == (201, "Monday", 1)

        empty = api.post("batches", content=iter([b""]))
        assert (empty.status_code, empty.json()["errors"][0]["code"]) == (422, "not_a_list")
        del api.headers["Content-Type"]
        submitted = api.post(f"batches/{made.json()['id']}/submit", content=iter([b""]))
        assert (submitted.status_code, submitted.json()["code"]) == (409, "uploads_incomplete")
        api.headers["Content-Type"] = "application/json"
        fitting = api.post("batches", content=iter([MEGABYTE] * 32))
        assert (fitting.status_code, fitting.json()["code"]) == (400, "parse_error")
        large = api.post("batches", content=iter([MEGABYTE] * 33))
        assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
        upload = httpx.put(made.json()["images"][0]["upload"]["url"], content=iter([b"x"]))
        assert (upload.status_code, upload.json()["code"]) == (411, "length_required")


def answer(site: str, *lines: str, chunks: bytes) -> bytes:
    """The first line of the answer to a request that is sent so far and goes no further."""
    head = ["POST /api/v1/batches HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: chunked", *lines]
    with socket.create_connection((LOOPBACK, int(site.rpartition(":")[2])), timeout=20) as connected:
        connected.sendall("\r\n".join([*head, "", ""]).encode() + chunks)
        return connected.recv(1000).partition(b"\r\n")[0]


def test_what_is_no_chunk_is_a_bad_request(site: str) -> None:
    _, secret = api_key()
    lines = (f"Authorization: Bearer {secret}", "Content-Type: application/json")
    assert answer(site, *lines, chunks=b"zz\r\n") == b"HTTP/1.1 400 Bad Request"
    assert httpx.get(f"{site}/healthz").is_success


def test_nothing_is_read_of_a_body_before_its_client_is_let_in(site: str) -> None:
    lines = ("Authorization: Bearer llk_0_x", "Content-Type: application/json")
    assert answer(site, *lines, chunks=b"5\r\n{") == b"HTTP/1.1 401 Unauthorized"
