"""Settings with which a site would start, and then lose its cookies' safety in silence."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings


def start() -> None:
    apps.get_app_config("operations").ready()


@pytest.mark.parametrize(
    "address", ["lesionlens.example.org", "http://lesionlens.example.org", "https://", "HTTPS://a.example", ""]
)
def test_a_public_address_without_https_ends_the_start(settings: Settings, address: str) -> None:
    settings.SITE_URL, settings.LOCAL = address, False
    with pytest.raises(ImproperlyConfigured, match="SITE_URL"):
        start()


def test_a_public_host_without_https_ends_the_start(settings: Settings) -> None:
    settings.SITE_URL, settings.ALLOWED_HOSTS, settings.LOCAL = "http://127.0.0.1:8000", ["lens.example"], False
    with pytest.raises(ImproperlyConfigured, match="SITE_URL"):
        start()


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("https://lesionlens.example.org", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("http://lens.home:8000", True),
    ],
)
def test_https_and_this_machine_itself_may_be_served(settings: Settings, address: str, local: bool) -> None:
    settings.SITE_URL, settings.ALLOWED_HOSTS, settings.LOCAL = address, ["127.0.0.1", "localhost"], local
    start()
