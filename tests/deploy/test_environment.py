"""What else the environment may say: an address or a word that cannot be read ends the start and is named, and no
password is.
"""

import re
import runpy
import traceback
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection

from tests.deploy.manifests import EXAMPLE, FOLDER, ROOT

SERVERS = {
    "DATABASE_URL": "postgres://user:{password}@host:5432/lesionlens",
    "REDIS_URL": "redis://:{password}@host:6379/0",
    "EMAIL_URL": "smtp+tls://user:{password}@host:587",
}


def settings() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "webapp" / "settings.py"))


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("password", ["hunter/2", "12/hunter", "hunter?2", "12?hunter", "[hunter"])
def test_a_password_that_ends_too_early_is_told_and_not_shown(
    name: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SERVERS[name].format(password=password))
    with pytest.raises(ImproperlyConfigured, match=f"^{name} cannot be read.* percent code: / is %2F") as refused:
        settings()
    assert "hunter" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("said", ["host", "host:587", "https://host", "smtps://host:465", "secret@host"])
def test_an_address_of_another_kind_is_told_with_an_example(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, said)
    example = re.escape(SERVERS[name].format(password="password"))
    with pytest.raises(ImproperlyConfigured, match=rf"^{name} cannot be read\. .*{example}") as refused:
        settings()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("written", ["p#s%2Fs%3F%25%40:", "p%23s%2Fs%3F%25%40%3A"])
def test_a_password_of_any_characters_reaches_each_server(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, address in SERVERS.items():
        monkeypatch.setenv(name, address.format(password=written))
    read = settings()
    assert read["DATABASES"]["default"]["PASSWORD"] == "p#s/s?%@:"
    assert read["EMAIL_HOST_PASSWORD"] == "p#s/s?%@:"
    assert Connection(read["REDIS_URL"]).password == "p#s/s?%@:"


@pytest.mark.parametrize(("scheme", "starttls", "at_once"), [("smtp+tls", 1, 0), ("smtp+ssl", 0, 1), ("smtp", 0, 0)])
def test_mail_is_encrypted_as_its_address_says(
    scheme: str, starttls: bool, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL_URL", f"{scheme}://host")
    read = settings()
    assert bool(read.get("EMAIL_USE_TLS")) == bool(starttls)
    assert bool(read.get("EMAIL_USE_SSL")) == bool(at_once)


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud'. Set it to one of DEBUG, INFO, "),
        ("LOG_LEVEL", "", "LOG_LEVEL is ''. Set it to one of DEBUG, INFO, "),
        ("TIME_ZONE", "Mars/Base", "TIME_ZONE is 'Mars/Base'. Set it to a time zone such as Europe/Vienna."),
        ("TIME_ZONE", "Europe", "TIME_ZONE is 'Europe'. Set it to a time zone such as Europe/Vienna."),
        ("TIME_ZONE", "../passwd", "TIME_ZONE is '../passwd'. Set it to a time zone such as Europe/Vienna."),
        ("S3_ADDRESSING_STYLE", "host", "S3_ADDRESSING_STYLE is 'host'. Set it to one of path, virtual, auto."),
    ],
)
def test_a_word_that_is_not_known_is_named(name: str, said: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, said)
    with pytest.raises(ImproperlyConfigured, match=re.escape(told)):
        settings()


def test_the_examples_tell_of_the_percent_code() -> None:
    for example in (EXAMPLE, (FOLDER / "secrets.env.example").read_text()):
        assert "%2F" in example
        assert "smtp+ssl://" in example
