"""The embedded Postgres and Redis start quickly, keep what they should, and leave nothing behind."""

import os
from pathlib import Path

import environ
import psycopg2
import pytest
from redis import Redis

from deploy.local import postgres
from deploy.local.postgres import embedded_postgres
from deploy.local.redis import embedded_redis


def connect(url: str) -> "psycopg2.extensions.connection":
    """Connect as Django would, from the DATABASE_URL."""
    settings = environ.Env.db_url_config(url)
    return psycopg2.connect(host=settings["HOST"], user=settings["USER"], dbname=settings["NAME"])


def test_postgres_keeps_its_data_when_it_restarts_and_when_it_starts_anew(state_folder: Path) -> None:
    with embedded_postgres(state_folder / "postgres", log=state_folder / "log") as server:
        with connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        connection.close()
        server.restart()
        with connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM kept")
            assert cursor.fetchone() == (7,)
        connection.close()
    assert not (state_folder / "postgres" / "postmaster.pid").exists()
    with embedded_postgres(state_folder / "postgres", log=state_folder / "log") as server:
        with connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM kept")
            assert cursor.fetchone() == (7,)
        connection.close()


def test_postgres_admits_at_least_a_hundred_connections(state_folder: Path) -> None:
    with embedded_postgres(state_folder / "postgres", log=state_folder / "log", durable=False) as server:
        with connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW max_connections")
            assert int(cursor.fetchone()[0]) >= 100
        connection.close()


def test_postgres_writes_no_row_and_no_statement_into_its_log(state_folder: Path) -> None:
    with embedded_postgres(state_folder / "postgres", log=state_folder / "log", durable=False) as server:
        connection = connect(server.url)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE people (email text PRIMARY KEY CHECK (email <> 'b@home.example'))")
            cursor.execute("INSERT INTO people VALUES ('a@home.example')")
        connection.commit()
        for email in ("a@home.example", "b@home.example"):
            with pytest.raises(psycopg2.IntegrityError), connection.cursor() as cursor:
                cursor.execute("INSERT INTO people VALUES (%s)", [email])
            connection.rollback()
        connection.close()
    written = (state_folder / "log").read_text()
    assert "people_pkey" in written
    assert "people_email_check" in written
    assert "home.example" not in written


def test_postgres_survives_sigkill(state_folder: Path) -> None:
    with embedded_postgres(state_folder / "postgres", log=state_folder / "log") as server:
        with connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept (n int)")
        connection.close()
        server.kill()
        server.start()
        with connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM kept")
            assert cursor.fetchone() == (0,)
        connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts Postgres as another user")
def test_a_folder_that_postgres_cannot_enter_is_refused_with_advice(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with (
        pytest.raises(RuntimeError, match=r"closed\. Move the checkout .* or set DATABASE_URL"),
        embedded_postgres(closed / "postgres", log=tmp_path / "log"),
    ):
        pass


def test_a_missing_wheel_is_explained(monkeypatch: pytest.MonkeyPatch, state_folder: Path) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    with (
        pytest.raises(RuntimeError, match="make setup"),
        embedded_postgres(state_folder / "postgres", log=state_folder / "log"),
    ):
        pass


def test_redis_answers_and_forgets(tmp_path: Path) -> None:
    with embedded_redis(log=tmp_path / "log") as server:
        client = Redis.from_url(server.url)
        client.set("a", 1)
        server.flush()
        assert client.get("a") is None
        client.set("a", 1)
        server.stop()
        server.start()
        assert client.get("a") is None
        client.close()
