"""`manage.py demo_accounts`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import reverse

from webapp.accounts.management.commands import demo_accounts
from webapp.accounts.models import Patient, User
from webapp.accounts.services import find_api_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_accounts, "PASSWORD_FILE", tmp_path / "made" / "demo-password")
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)


def made() -> dict[str, Any]:
    out = io.StringIO()
    call_command("demo_accounts", stdout=out)
    accounts: dict[str, Any] = json.loads(out.getvalue())
    return accounts


def signed_in(email: str, password: str) -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": email, "password": password})
    return client


def test_twice_gives_the_same_people_and_a_new_key() -> None:
    first, second = made(), made()

    assert first["accounts"] == second["accounts"]
    assert first["password"] == second["password"]
    assert User.objects.count() == 6
    assert Patient.objects.count() == 1
    assert find_api_key(first["api_key"]) is None
    assert find_api_key(second["api_key"]) is not None
    assert demo_accounts.PASSWORD_FILE.stat().st_mode & 0o777 == 0o600


def test_each_account_signs_in() -> None:
    demo = made()

    for account in demo["accounts"]:
        client = signed_in(account["email"], demo["password"])
        assert "_auth_user_id" in client.session, account
        assert User.objects.get(pk=client.session["_auth_user_id"]).role == account["role"]


def test_the_password_is_hashed_once_and_who_is_signed_in_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo waits for it: a hash takes a third of a second."""
    hashed, encode = [], PBKDF2PasswordHasher.encode

    def counted(*given: Any, **named: Any) -> str:
        hashed.append(given)
        return str(encode(*given, **named))

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", counted)
    demo = made()
    assert len(hashed) == 1
    client = signed_in(demo["accounts"][-1]["email"], demo["password"])
    del hashed[:]

    made()

    assert len(hashed) == 1
    assert "_auth_user_id" in client.session
    assert client.get(reverse("account_email")).status_code == 200


def test_a_given_password_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    before = made()
    monkeypatch.setenv("DEMO_PASSWORD", "one-that-i-chose")

    assert made()["password"] == "one-that-i-chose"
    for account in before["accounts"][::5]:
        assert "_auth_user_id" in signed_in(account["email"], "one-that-i-chose").session
        assert "_auth_user_id" not in signed_in(account["email"], before["password"]).session


def test_only_on_ones_own_machine() -> None:
    with override_settings(LOCAL=False), pytest.raises(CommandError):
        made()
