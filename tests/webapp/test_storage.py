"""Storage that hangs, or cannot be asked."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from botocore.config import Config
from django.core.files.base import File
from pytest_django.fixtures import Settings

from webapp import multipart, storage
from webapp.s3 import LIMITS, client_config


def use(settings: Settings, port: int) -> None:
    """Store on an S3 server of this machine; we are as patient as ever, in tenths of seconds."""
    quick = {**LIMITS, "read_timeout": LIMITS["read_timeout"] / 100}
    settings.STORAGE_BUCKET = "bucket"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": "bucket",
                "endpoint_url": f"http://127.0.0.1:{port}",
                "region_name": "us-east-1",
                "access_key": "key",
                "secret_key": "secret",
                "client_config": client_config(addressing="path").merge(Config(**quick)),
            },
        },
    }


@pytest.fixture
def hanging(settings: Settings) -> Iterator[None]:
    """An S3 server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        use(settings, server.getsockname()[1])
        yield


class Door(BaseHTTPRequestHandler):
    """An S3 server that has every object, but gives none whose key holds `closed`."""

    closed = "images/closed"
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        refused = self.closed in self.path
        given = b"jpeg" if self.command == "GET" else b""
        body = b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>" if refused else given
        self.send_response(403 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - as BaseHTTPRequestHandler calls them

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def guarded(settings: Settings) -> Iterator[type[Door]]:
    """An S3 server that refuses one object."""

    class Own(Door):
        """Of one test."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        use(settings, server.server_port)
        yield Own
        server.shutdown()


ASKED: list[Callable[[str], Any]] = [
    storage.read,
    lambda key: list(storage.pieces(key)),
    lambda key: storage.write(key, b"jpeg"),
    storage.size,
    storage.delete,
]


@pytest.mark.parametrize("ask", ASKED)
def test_an_object_that_is_refused_while_the_others_are_not_is_told_apart(
    guarded: type[Door], ask: Callable[[str], Any]
) -> None:
    ask("images/open")
    with pytest.raises(storage.ObjectRefused):
        ask("images/closed")


@pytest.mark.parametrize("ask", ASKED)
def test_a_server_that_refuses_all_says_nothing_of_an_object(guarded: type[Door], ask: Callable[[str], Any]) -> None:
    guarded.closed = ""  # wrong credentials, a clock that is wrong, a policy that was changed
    with pytest.raises(storage.StorageAway) as raised:
        ask("images/1")
    assert not isinstance(raised.value, storage.ObjectRefused)


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize(
    "ask",
    [
        lambda: storage.read("images/1"),
        lambda: list(storage.pieces("images/1")),
        lambda: storage.write("images/1", b"jpeg"),
        lambda: storage.write_file("images/1", File(BytesIO(b"jpeg"))),
        lambda: storage.size("images/1"),
        lambda: storage.delete("images/1"),
        lambda: multipart.begin("images/1"),
        lambda: multipart.arrived("images/1", "upload"),
        lambda: multipart.join("images/1", "upload"),
        lambda: multipart.abort("images/1", "upload"),
    ],
)
def test_storage_that_hangs_is_given_up_after_two_tries(ask: Callable[[], Any]) -> None:
    started = time.monotonic()
    with pytest.raises(storage.StorageAway):
        ask()
    assert time.monotonic() - started < 20  # the library by itself: five minutes


def test_no_call_takes_longer_than_a_minute() -> None:
    assert LIMITS["retries"]["total_max_attempts"] * (LIMITS["connect_timeout"] + LIMITS["read_timeout"]) < 60


def test_what_is_not_there_is_no_storage_that_is_away() -> None:
    storage.write("images/folder/file", b"jpeg")
    with pytest.raises(FileNotFoundError):
        storage.read("images/none")
    with pytest.raises(storage.ObjectRefused, match="IsADirectoryError"):
        storage.read("images/folder")


@pytest.mark.parametrize("addressing", ["path", "virtual"])
@pytest.mark.parametrize("size", [None, 5])
def test_an_address_for_an_upload_is_the_one_that_the_library_signs(
    settings: Settings, addressing: str, size: int | None
) -> None:
    use(settings, 9000)
    settings.STORAGES["default"]["OPTIONS"]["client_config"] = client_config(addressing=addressing)
    key = "uploads/a b~c/+é.jpg"
    length = {} if size is None else {"ContentLength": size}
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with patch("botocore.auth.get_current_datetime", return_value=now):
        ours = storage.upload_target(key, size=size).url
        theirs = storage.public_s3().generate_presigned_url(
            "put_object",
            Params={"Bucket": "bucket", "Key": key, **length},
            ExpiresIn=settings.UPLOAD_URL_SECONDS,
        )
    assert ours == theirs
