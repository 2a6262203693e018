"""What all tests of the API share."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _fresh_allowance() -> None:
    """As many requests without a key as if there had been none before."""
    cache.delete("throttle:address:127.0.0.1")
