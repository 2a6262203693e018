"""A stranger's large form is refused before its body is read."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory, UserFactory
from webapp.accounts.middleware import STRANGERS_BYTES
from webapp.accounts.permissions import SIGNED_OUT

pytestmark = pytest.mark.django_db
SMALL, LARGE = bytes(STRANGERS_BYTES // 2), bytes(STRANGERS_BYTES + 1)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths whose bodies were read as forms."""
    paths: list[str] = []
    load = WSGIRequest._load_post_and_files

    def noting(request: WSGIRequest) -> None:
        paths.append(request.path)
        load(request)

    monkeypatch.setattr(WSGIRequest, "_load_post_and_files", noting)
    return paths


def send(client: Client, path: str, data: bytes) -> Any:
    return client.post(path, {"images": SimpleUploadedFile("a.jpg", data), "login": "a@b.example"})


@pytest.mark.parametrize("name", ["account_login", "pages:home", "cases:batch_new", "patient:photo"])
def test_a_strangers_large_form_is_refused_unread(name: str, read: list[str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(reverse("account_login"))  # the cookie, without which no token is looked for
    read.clear()
    answer = send(client, reverse(name), LARGE)
    assert answer.status_code == 413
    assert "Sign in" in answer.content.decode()
    assert read == []


def test_the_script_of_a_page_is_told_that_nobody_is_signed_in(read: list[str]) -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept": "application/json"})
    answer = send(client, reverse("patient:photo"), LARGE)
    assert (answer.status_code, answer.json()) == (401, {"errors": [SIGNED_OUT]})
    assert read == []


def test_a_small_form_of_a_stranger_is_read_and_checked(read: list[str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(reverse("account_login"))
    read.clear()
    assert send(client, reverse("account_login"), SMALL).status_code == 403
    assert read == [reverse("account_login")]


def test_a_length_that_is_no_number_is_none(client: Client) -> None:
    answer = client.generic("POST", reverse("account_login"), b"", CONTENT_LENGTH="much")
    assert answer.status_code < 500


def test_who_is_signed_in_may_send_photos(client: Client) -> None:
    client.force_login(UserFactory())
    assert send(client, reverse("patient:photo"), LARGE).status_code not in (403, 413)
    client.force_login(MembershipFactory().user)
    assert send(client, reverse("cases:batch_new"), LARGE).status_code not in (403, 413)


def test_the_api_has_limits_of_its_own(client: Client) -> None:
    answer = client.post("/api/v1/batches", LARGE, "application/json")
    assert answer.status_code == 401
    assert answer.json()["code"]
