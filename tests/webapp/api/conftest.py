"""What all tests of the API share."""

import pytest
from django.core.cache import cache

from tests.webapp.api.clinic import Clinic


@pytest.fixture(autouse=True)
def _fresh_allowance() -> None:
    """As many requests without a key as if there had been none before."""
    cache.delete("throttle:address:127.0.0.1")


@pytest.fixture
def clinic(db: None) -> Clinic:
    """A clinic whose software has a key."""
    return Clinic()
