"""A rate that means nothing stops the site at its start, not each request after it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from webapp.environment import Environment


@pytest.mark.parametrize(
    ("text", "meant"),
    [("6000/minute", (6000, 60)), ("20/s", (20, 1)), ("1/hour", (1, 3600)), ("7/d", (7, 86400)), ("5/min", (5, 60))],
)
def test_a_rate_is_a_number_in_a_time(text: str, meant: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_RATE", text)
    assert Environment().rate("API_RATE", "6000/minute") == meant


@pytest.mark.parametrize(
    "text", ["fast", "20", "20/", "20/fortnight", "/minute", "0/minute", "-1/minute", "1.5/s", "²/minute", ""]
)
def test_what_is_no_rate_is_refused_by_its_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_RATE", text)
    with pytest.raises(ImproperlyConfigured, match=r"API_RATE is .*6000/minute"):
        Environment().rate("API_RATE", "6000/minute")
