"""Large bodies that arrive at once are bounded by the folder that they are written to."""

import shutil
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory
from tests.webapp.api.clinic import API, Clinic
from webapp import storage
from webapp.api.parsers import Table
from webapp.operations import middleware
from webapp.operations.middleware import EACH

pytestmark = pytest.mark.django_db
MEGABYTE = 1024**2
PHOTO = bytes(3 * MEGABYTE)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the megabytes of the folder for temporary files; at first twelve, of which five are free."""

    def holds(total: float, *, free: float) -> None:
        usage = Usage(int(total * MEGABYTE), 0, int(free * MEGABYTE))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    holds(12, free=5)
    return holds


@pytest.fixture
def provider(client: Client) -> Client:
    client.force_login(MembershipFactory().user)
    return client


def send(client: Client, data: bytes = PHOTO, **headers: str) -> Any:
    fields = {"grouping": "each", "capture": "dermoscopic", "key": "0b1d6c9e-9f0c-4f5c-8f7e-3f6f5f1e6a55"}
    files = {"files": SimpleUploadedFile("a.jpg", data)}
    return client.post(reverse("cases:batch_new"), {**fields, **files}, headers=headers)


@pytest.fixture
def another(provider: Client) -> Client:
    """Another person, who asks the same process."""
    client = Client()
    client.handler = provider.handler
    client.force_login(MembershipFactory().user)
    return client


def test_the_second_of_two_at_once_is_told_to_come_back(
    provider: Client, another: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than both is free, of which the first has written nothing yet."""
    told: list[Any] = []
    write, load = storage.write, WSGIRequest._load_post_and_files

    def meanwhile(key: str, data: bytes) -> None:
        read: list[str] = []
        monkeypatch.setattr(WSGIRequest, "_load_post_and_files", lambda request: read.append(request.path))
        for accept in ("text/html", "application/json"):
            told.append(send(another, Accept=accept))
        monkeypatch.setattr(WSGIRequest, "_load_post_and_files", load)
        told.append(another.get(reverse("cases:batch_new")))
        assert read == []
        write(key, data)

    monkeypatch.setattr(storage, "write", meanwhile)
    assert send(provider).status_code == 302  # the first is not disturbed
    page, answer, small = told
    assert (page.status_code, answer.status_code, small.status_code) == (503, 503, 200)
    assert page["Retry-After"] == answer["Retry-After"] == "15"
    assert "no room for yours" in page.content.decode()
    assert "no room for yours" in answer.json()["errors"][0]
    monkeypatch.setattr(storage, "write", write)
    assert send(provider).status_code == 302  # the room is free again


def test_a_view_that_fails_gives_its_room_back(provider: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: str, data: bytes) -> None:
        raise MemoryError

    provider.raise_request_exception = False
    write = storage.write
    monkeypatch.setattr(storage, "write", fail)
    assert [send(provider).status_code for _ in range(2)] == [500, 500]
    monkeypatch.setattr(storage, "write", write)
    assert send(provider).status_code == 302


def test_what_others_have_written_there_counts(provider: Client, folder: Callable[..., None]) -> None:
    folder(100, free=1)
    assert send(provider).status_code == 503
    folder(100, free=50)
    assert send(provider).status_code == 302


def test_what_never_fits_is_too_large(provider: Client, folder: Callable[..., None]) -> None:
    folder(2, free=2)
    page = send(provider)
    assert (page.status_code, page.get("Retry-After")) == (413, None)
    assert "send fewer files" in page.content.decode()
    answer = provider.put("/uploads/token", PHOTO, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_one_who_sends_slowly_leaves_room_for_the_others(
    provider: Client, another: Client, folder: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(12, free=12)
    told: list[int] = []
    write = storage.write

    def meanwhile(key: str, data: bytes) -> None:
        monkeypatch.setattr(storage, "write", write)
        told.extend(send(client).status_code for client in (provider, another))
        write(key, data)

    monkeypatch.setattr(storage, "write", meanwhile)
    assert send(provider).status_code == 302
    assert told == [503, 302]


def test_a_table_of_cases_needs_no_room(provider: Client, folder: Callable[..., None]) -> None:
    """It never touches the folder."""
    folder(0, free=0)
    for kind in ("application/json", "text/csv"):
        assert provider.post("/api/v1/batches", PHOTO, kind).status_code not in (413, 503)


def answers_meanwhile(monkeypatch: pytest.MonkeyPatch, first: Client, then: Sequence[Client]) -> list[int]:
    """What each of these hears while the forms of all before them have not come whole; and the first of all last."""
    told: list[int] = []
    waiting, load = list(then), WSGIRequest._load_post_and_files

    def load_when_all_have_asked(request: WSGIRequest) -> None:
        while waiting:
            told.append(send(waiting.pop(0), bytes(300 * 1024)).status_code)
        load(request)

    monkeypatch.setattr(WSGIRequest, "_load_post_and_files", load_when_all_have_asked)
    told.append(send(first, bytes(300 * 1024)).status_code)
    monkeypatch.setattr(WSGIRequest, "_load_post_and_files", load)
    return told


def test_one_person_sends_a_few_forms_at_once_and_leaves_threads_to_others(
    provider: Client, another: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread waits for each of them, whether or not it needs room."""
    told = answers_meanwhile(monkeypatch, provider, [provider] * (EACH - 1) + [another])
    assert told == [302] * (EACH + 1)
    told = answers_meanwhile(monkeypatch, provider, [provider] * EACH + [another])
    assert told == [503] + [302] * (EACH + 1)


def test_all_together_leave_threads_to_what_is_small(
    provider: Client, another: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "IN_ALL", 2)
    assert answers_meanwhile(monkeypatch, provider, [provider, another]) == [503, 302, 302]


def test_bodies_in_memory_leave_the_process_its_own(
    provider: Client, another: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "HELD", 700 * 1024)
    assert answers_meanwhile(monkeypatch, provider, [another, provider, another]) == [503, 503, 302, 302]


def test_software_with_a_key_sends_a_few_tables_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "EACH", 1)
    sender, other = Clinic(), Clinic()
    told: list[int] = []
    read = Table.parse

    def meanwhile(*asked: Any, **more: Any) -> Any:
        monkeypatch.setattr(Table, "parse", read)
        told.extend(clinic.http.post(f"{API}/batches", PHOTO, "text/csv").status_code for clinic in (sender, other))
        return read(*asked, **more)

    monkeypatch.setattr(Table, "parse", meanwhile)
    sender.http.handler = other.http.handler = client.handler
    sender.http.post(f"{API}/batches", PHOTO, "text/csv")
    assert told == [503, 422]


def test_an_ordinary_form_needs_no_room(provider: Client, folder: Callable[..., None]) -> None:
    folder(0, free=0)
    assert send(provider, bytes(MEGABYTE)).status_code == 302
