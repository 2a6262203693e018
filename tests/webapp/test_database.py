"""A Postgres that vanishes without a word (a failover, a cut network) is given up: no worker waits for it for hours."""

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection

from webapp.environment import GIVEN_UP, Environment

BOUND = 60  # seconds
LOOPBACK = "127.0.0.1"


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes a connection, and never says anything."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield int(server.getsockname()[1])


def options(address: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How the service would connect to this address."""
    monkeypatch.setenv("DATABASE_URL", address)
    found: dict[str, Any] = Environment().database("DATABASE_URL", "")["OPTIONS"]
    return found


def test_the_kernel_is_asked_to_give_up_within_a_minute(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = options(f"postgres://lesionlens@{LOOPBACK}:{silent}/lesionlens", monkeypatch)
    begun = psycopg2.connect(host=LOOPBACK, port=silent, async_=True, **asked)
    with socket.socket(fileno=os.dup(begun.fileno())) as ours:
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, every, times = (
            ours.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert 0 < idle + every * times <= BOUND  # where it waits for an answer
        assert 0 < ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= BOUND * 1000  # where it has asked
    begun.close()


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = options(f"postgres://lesionlens@{LOOPBACK}:{silent}/lesionlens?connect_timeout=2", monkeypatch)
    started = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
        psycopg2.connect(host=LOOPBACK, port=silent, **asked)
    assert time.monotonic() - started < 4


def test_the_service_connects_so() -> None:
    assert GIVEN_UP.items() <= connection.settings_dict["OPTIONS"].items()


def test_what_the_address_says_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = options("postgres://lesionlens@db.example/lesionlens", monkeypatch)
    asked = options("postgres://lesionlens@db.example/lesionlens?tcp_user_timeout=90000&sslmode=require", monkeypatch)
    assert asked == {**usual, "tcp_user_timeout": 90000, "sslmode": "require"}
