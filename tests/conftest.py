"""What all tests share."""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from hypothesis import settings as drawing

# A busy machine takes its time over an example; pytest ends a test that hangs.
drawing.register_profile("busy", deadline=None)
drawing.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def uncollected_static_files() -> Iterator[None]:
    """Pages name static files by their plain names: nothing is collected for tests that start no web server."""
    from django.conf import settings

    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
        yield
