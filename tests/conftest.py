"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from django.test import TransactionTestCase, override_settings
from hypothesis import settings as drawing
from pytest_django.fixtures import Settings

from tests.servers import UP_TO_DATE
from tests.tables import empty_tables
from tests.webapp.webhooks.receiver import Receiver, receiving

# A busy machine takes its time over an example; pytest ends a test that hangs.
drawing.register_profile("busy", deadline=None)
drawing.load_profile("busy")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """The database of the tests begins as a copy: `migrate`, which comes next, has nothing left to do."""
    connection.settings_dict["TEST"]["TEMPLATE"] = os.environ.get(UP_TO_DATE)


@pytest.fixture(scope="session", autouse=True)
def uncollected_static_files() -> Iterator[None]:
    """Pages name static files by their plain names: nothing is collected for tests that start no web server."""
    from django.conf import settings

    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Passwords are hashed and checked as the site does, in a thousandth of the rounds, which are slow on purpose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PBKDF2PasswordHasher, "iterations", PBKDF2PasswordHasher.iterations // 1000)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_emptying() -> Iterator[None]:
    """After a test that commits, only what it has written is taken out: Django makes every table anew, and its own rows
    about models, for half a second.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty_tables())
        yield


@pytest.fixture
def storage_folder(settings: Settings, tmp_path: Path) -> Path:
    """Where files are stored: an empty folder."""
    folder = tmp_path / "storage"
    options = {"location": str(folder), "allow_overwrite": True}
    local = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": local}
    return folder


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A clinic's software that is told things."""
    with receiving() as running:
        yield running
