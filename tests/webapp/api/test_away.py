"""While Postgres or Redis is away, everybody is asked to come back: it is no fault, and it passes."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from tests.factories import PASSWORD, MembershipFactory
from tests.webapp.api.clinic import Clinic, case, problem

pytestmark = pytest.mark.django_db


def test_signing_in_waits_for_redis(settings: Any) -> None:
    person = MembershipFactory().user
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    client = Client(raise_request_exception=False)
    response = client.post("/account/login/", {"login": person.email, "password": PASSWORD})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "away for a moment" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_program_is_told_when_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr("webapp.cases.services.create_batch", away)
    clinic = Clinic()
    clinic.http.raise_request_exception = False
    response = clinic.post("/batches", {"cases": [case()]})
    assert problem(response, 503)["code"] == "unavailable"
    assert int(response.headers["Retry-After"]) > 0
