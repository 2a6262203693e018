"""Keys that only read: chosen when one is made, said in the list and in the trail. What they may do is walked route by
route in tests/webapp/test_strangers.py.
"""

import pytest
from django.test import Client
from django.urls import reverse

from tests.webapp.forms import as_shown
from webapp.accounts.models import ApiKey, Membership
from webapp.audit.models import Event

pytestmark = pytest.mark.django_db
KEYS = reverse("accounts:api_keys")


@pytest.mark.parametrize(
    ("chosen", "may", "detail"), [({}, "Read and change", ""), ({"reads_only": "on"}, "Only read", "reads only")]
)
def test_a_key_only_reads_where_that_was_chosen(
    client: Client, provider: Membership, chosen: dict[str, str], may: str, detail: str
) -> None:
    said = as_shown(client.get(KEYS).content.decode())
    assert "reads_only" not in said

    client.post(KEYS, {**said, "name": "Dashboard", **chosen})

    assert ApiKey.objects.get().reads_only == bool(chosen)
    assert f'data-label="May">{may}</td>' in client.get(KEYS).content.decode()
    assert Event.objects.get(action="api_key.created").detail == detail
