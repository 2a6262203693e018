"""Whatever goes wrong, the answer is a problem of RFC 9457."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests.factories import PASSWORD, MembershipFactory
from tests.webapp.api.clinic import API, Clinic, case, good, problem
from webapp.accounts.models import Membership
from webapp.accounts.services import revoke_api_key
from webapp.api.throttling import PerClient
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/nothing", "/batches/1", "/batches/", "/images/x/complete", "/cases/%00"])
def test_an_unknown_address_is_a_problem(path: str) -> None:
    for response in (Client().get(API + path), Clinic().post(path)):
        assert problem(response, 404)["code"] == "not_found"


def test_a_slash_too_many_is_told() -> None:
    for path, told in (("/batches/", True), ("/batch", False)):
        assert ("No other address ends in a slash" in problem(Clinic().get(path), 404)["detail"]) is told


def test_who_has_no_key_is_told_how_to_come_in(client: Client) -> None:
    response = client.get(f"{API}/batches")
    told = problem(response, 401)
    assert told["code"] == "not_authenticated"
    assert "Authorization: Bearer" in told["detail"]
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer llk_0_x", "Bearer \xff", "bearer llk__"])
def test_a_wrong_key_is_refused(client: Client, value: str) -> None:
    response = client.get(f"{API}/batches", headers={"Authorization": value})
    assert problem(response, 401)["code"] == "authentication_failed"
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_the_example_of_a_problem_is_of_its_status() -> None:
    answers = SchemaGenerator().get_schema(request=None, public=True)["paths"]["/api/v1/batches/{id}"]["get"][
        "responses"
    ]
    examples = {status: answers[status]["content"]["application/problem+json"]["example"] for status in ("401", "404")}
    assert {name: (each["status"], each["code"]) for name, each in examples.items()} == {
        "401": (401, problem(Client().get(f"{API}/batches"), 401)["code"]),
        "404": (404, problem(Clinic().get("/nothing"), 404)["code"]),
    }


def test_a_revoked_key_is_refused(clinic: Clinic) -> None:
    good(clinic.get("/batches"))
    revoke_api_key(actor=SYSTEM, key=clinic.key)
    assert problem(clinic.get("/batches"), 401)["code"] == "authentication_failed"


@pytest.mark.parametrize("role", [Membership.Role.ANNOTATOR, Membership.Role.OPERATOR])
def test_other_roles_may_not_enter(client: Client, role: str) -> None:
    client.force_login(MembershipFactory(role=role).user)
    assert problem(client.get(f"{API}/batches"), 403)["code"] == "permission_denied"


def test_a_signed_in_provider_needs_the_page_token_to_change_anything() -> None:
    membership = MembershipFactory()
    client = Client(enforce_csrf_checks=True)
    client.force_login(membership.user)
    assert client.get(f"{API}/batches").status_code == 200
    assert problem(client.post(f"{API}/batches", {"cases": []}, "application/json"), 403)["code"] == "permission_denied"
    assert PASSWORD


def test_a_method_that_is_none_says_which_are() -> None:
    response = Clinic().http.delete(f"{API}/batches")
    answer = problem(response, 405)
    assert answer["code"] == "method_not_allowed"
    assert f"This address takes {response.headers['Allow']}." in answer["detail"]
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "parse_error"),
        (b"\xff\xfe", "parse_error"),
        (b"[" * 100_000, "parse_error"),
        (b"NaN", "parse_error"),
        (b"9" * 10_000, "parse_error"),
        (b"[]", "invalid"),
        (b'"text"', "invalid"),
        (b"null", "invalid"),
        (b'{"name": "\\u0000"}', "invalid"),
        (b'{"name": "\\ud800"}', "invalid"),
        (b'{"archive": 7.5}', "invalid"),
        (b'{"name": ["x"]}', "invalid"),
    ],
)
def test_a_body_that_is_no_request(body: bytes, code: str) -> None:
    answer = problem(Clinic().http.post(f"{API}/batches", body, "application/json"), 400)
    assert answer["code"] == code
    assert code != "invalid" or answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"cases": [\n{"case_id": "A-1",}]}', "line 2 column 19"),
        (b"{'name': 'Tuesday'}", "double quotes"),
        ('{"name": "Müller"}'.encode("latin-1"), "Save it as UTF-8"),
        (b'{"age": NaN}', "NaN"),
        (b'[{"case_id": "A-1"}]', "Send a JSON object"),
    ],
)
def test_a_body_that_is_no_json_is_told_where_and_why(body: bytes, told: str) -> None:
    answer = problem(Clinic().http.post(f"{API}/batches", body, "application/json"), 400)
    assert told in f"{answer['detail']} {answer.get('errors')}"


def test_json_that_windows_began_with_a_mark_is_read() -> None:
    response = Clinic().http.post(f"{API}/batches", b'\xef\xbb\xbf{"archive": true}', "application/json")
    assert response.status_code == 201


def test_another_content_type_is_not_taken(clinic: Clinic) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = clinic.http.post(f"{API}/batches", b"a=b", content_type)
        answer = problem(response, 415)
        assert answer["code"] == "unsupported_media_type"
        assert answer["detail"] == "Send application/json or text/csv, and say so in Content-Type."


def test_a_body_beyond_the_limit_is_not_read(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    clinic = Clinic()
    for path in ("/batches", "/cases/00000000-0000-0000-0000-000000000000/release"):
        answer = clinic.post(path, {"cases": [case(notes="x" * 1000)], "note": "x" * 1000})
        assert problem(answer, 413)["code"] == "body_too_large"


def test_a_request_without_a_body_is_one_without_options(clinic: Clinic) -> None:
    batch = clinic.create(case())
    response = clinic.http.generic("POST", f"{API}/batches/{batch['id']}/submit")
    assert problem(response, 409)["code"] == "uploads_incomplete"


def test_a_fault_of_ours_is_a_problem_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("webapp.cases.services.create_batch", broken)
    clinic = Clinic()
    clinic.http.raise_request_exception = False
    assert problem(clinic.post("/batches", {"cases": [case()]}), 500)["code"] == "server_error"
    missing = Client(raise_request_exception=False).get("/nothing-here")
    assert missing.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("position", ["x", "o=1&p=tomorrow", "p=2020-99-99T00:00:00", "o=99999999", "p=%00"])
def test_a_forged_cursor_is_refused(position: str) -> None:
    cursor = base64.b64encode(position.encode()).decode()
    for path in ("/batches", "/cases"):
        response = Clinic().get(path, cursor=cursor)
        if response.status_code != 200:
            assert problem(response, 404)["code"] == "not_found"


@pytest.mark.parametrize(
    "query",
    [{"batch": "x"}, {"advice": "panic"}, {"case_id": "\0"}, {"top_class": "XYZ"}],
)
def test_a_filter_that_is_none_is_refused(query: dict[str, str]) -> None:
    answer = problem(Clinic().get("/cases", **query), 400)
    assert answer["errors"][0]["field"] == next(iter(query))


@pytest.fixture
def three_a_minute(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(PerClient, "RATES", {"client": (3, 60), "anonymous": (2, 60)})
    yield
    cache.delete("throttle:address:127.0.0.1")


@pytest.mark.usefixtures("three_a_minute")
def test_a_client_beyond_its_allowance_is_told_to_wait() -> None:
    clinic, other = Clinic(), Clinic()
    for _ in range(3):
        good(clinic.get("/batches"))
    response = clinic.get("/batches")
    told = problem(response, 429)
    assert (told["code"], "Retry-After" in told["detail"]) == ("throttled", True)
    assert 0 < int(response.headers["Retry-After"]) <= 60
    good(other.get("/batches"))  # each client has an allowance of its own


@pytest.mark.usefixtures("three_a_minute")
def test_people_have_an_allowance_each_and_strangers_one_for_an_address(client: Client) -> None:
    for _ in range(2):
        assert client.get(f"{API}/").status_code == 200
    assert problem(client.get(f"{API}/"), 429)["code"] == "throttled"
    client.force_login(MembershipFactory().user)
    assert [client.get(f"{API}/").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.usefixtures("three_a_minute")
def test_nobody_is_limited_while_redis_is_away(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    clinic = Clinic()
    assert [clinic.get("/batches").status_code for _ in range(5)] == [200] * 5


def test_the_front_door_names_every_room(client: Client) -> None:
    links = good(client.get(f"{API}/"))
    assert json.dumps(links).count("http://testserver/api/v1/") == 5
    for name in ("schema", "docs"):
        assert client.get(links[name]).status_code == 200


def test_a_list_without_a_case_makes_no_batch_but_for_a_zip_that_brings_them(clinic: Clinic) -> None:
    answer = problem(clinic.post("/batches", {"cases": []}), 422)
    assert answer["errors"][0]["code"] == "cases_missing"
    assert not Batch.objects.exists()
    assert good(clinic.post("/batches", {"archive": True, "cases": []}), 201)["images"] == []
