"""Storage that hangs, or cannot be asked."""

import socket
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from django.core.files.base import File
from pytest_django.fixtures import Settings

from webapp import storage
from webapp.s3 import LIMITS, client_config


@pytest.fixture
def hanging(settings: Settings) -> Iterator[None]:
    """An S3 server that takes connections and never answers; we are as patient as ever, in tenths of seconds."""
    quick = {**LIMITS, "read_timeout": LIMITS["read_timeout"] / 100}
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        settings.STORAGE_BUCKET = "bucket"
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {
                "BACKEND": "storages.backends.s3.S3Storage",
                "OPTIONS": {
                    "bucket_name": "bucket",
                    "endpoint_url": f"http://127.0.0.1:{server.getsockname()[1]}",
                    "region_name": "us-east-1",
                    "access_key": "key",
                    "secret_key": "secret",
                    "client_config": client_config(addressing="path").merge(Config(**quick)),
                },
            },
        }
        yield


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
    ],
)
def test_storage_that_hangs_is_given_up_after_two_tries(ask: Callable[[], Any]) -> None:
    started = time.monotonic()
    with pytest.raises((storage.StorageAway, BotoCoreError)):
        ask()
    assert time.monotonic() - started < 20  # the library by itself: five minutes


def test_no_call_takes_longer_than_a_minute() -> None:
    assert LIMITS["retries"]["total_max_attempts"] * (LIMITS["connect_timeout"] + LIMITS["read_timeout"]) < 60


def test_what_is_not_there_is_no_storage_that_is_away() -> None:
    storage.write("images/folder/file", b"jpeg")
    with pytest.raises(FileNotFoundError):
        storage.read("images/none")
    with pytest.raises(storage.StorageAway, match="IsADirectoryError"):
        storage.read("images/folder")
