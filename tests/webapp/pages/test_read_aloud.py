"""What a page is called, and whose a value in a table is, for who hears it."""

import re

import pytest
from django.test import Client

from tests.factories import DeliveryFactory, EndpointFactory, MembershipFactory, api_key
from webapp.accounts.models import Membership

pytestmark = pytest.mark.django_db
Role = Membership.Role


def heading(page: str) -> str:
    [found] = re.findall(r"<h1[^>]*>(.*?)</h1>", page)
    return str(found)


def test_each_page_of_the_models_has_a_heading_of_its_own(client: Client) -> None:
    client.force_login(MembershipFactory(role=Role.OPERATOR).user)
    pages = [client.get(f"/models/{address}").content.decode() for address in ("", "runs/", "trace/")]
    assert len({heading(page) for page in pages}) == 3


def test_a_webhook_without_a_description_is_called_by_its_address(client: Client) -> None:
    member = MembershipFactory(role=Role.PROVIDER)
    endpoint = EndpointFactory(organisation=member.organisation, description="")
    client.force_login(member.user)
    page = client.get(f"/webhooks/{endpoint.pk}/").content.decode()
    assert heading(page) == endpoint.url
    assert f"<title>{endpoint.url} · LesionLens</title>" in page


def test_each_row_says_whose_it_is(client: Client) -> None:
    member = MembershipFactory(role=Role.PROVIDER)
    delivery = DeliveryFactory(endpoint=EndpointFactory(organisation=member.organisation))
    api_key(organisation=member.organisation)
    client.force_login(member.user)
    for address in ("/organisation/keys/", "/webhooks/", f"/webhooks/{delivery.endpoint.pk}/"):
        page = client.get(address).content.decode()
        rows = page.split("<tbody>")[1].split("</tbody>")[0]
        assert rows.count("<tr") == rows.count('scope="row"') == 1, address
