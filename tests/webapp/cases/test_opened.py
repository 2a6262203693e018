"""The address of a case names the list that it was opened from, and tells nobody what was found."""

import re
from base64 import urlsafe_b64decode
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import BatchFactory, CaseResultFactory
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Case

pytestmark = pytest.mark.django_db


def case_of(clinic: Organisation, *, batch: Batch | None = None, **fields: object) -> Case:
    """An answered case."""
    batch = batch or BatchFactory(organisation=clinic, completed=True)
    case: Case = CaseResultFactory(case__batch=batch, **fields).case
    return case


def link_to(case: Case, client: Client, **filters: str) -> str:
    """Where the list of the case's batch leads to, under these filters."""
    page = client.get(reverse("cases:batch", args=[case.batch_id]), filters).content.decode()
    found = re.search(rf'id="case-{case.pk}" href="([^"]+)"', page)
    assert found is not None
    return unescape(found[1])


def test_neighbours_follow_the_lists_order_and_filters(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    first, second, third = (case_of(clinic, batch=batch, malignant=risk) for risk in (0.9, 0.7, 0.6))
    Case.objects.filter(pk=first.pk).update(released_at=batch.created_at)

    whole = client.get(link_to(second, client)).context
    narrowed = client.get(link_to(second, client, dx="MEL", review="to_review"))

    assert (whole["previous"], whole["following"]) == (first, third)
    assert (narrowed.context["previous"], narrowed.context["following"]) == (None, third)
    assert f'href="/batches/{batch.pk}/?dx=MEL&amp;review=to_review"' in narrowed.content.decode()


@pytest.mark.parametrize(
    "filters", [{"advice": "urgent_referral"}, {"dx": "MEL", "uncertainty": "medium"}, {"q": "A-17", "review": ""}]
)
def test_no_address_of_a_case_says_a_finding(client: Client, clinic: Organisation, filters: dict[str, str]) -> None:
    case = case_of(clinic, case__external_id="A-17")

    there = link_to(case, client, **filters)

    page = client.get(there).content.decode()
    for where in (there, *re.findall(rf'(?:href|action)="(/cases/{case.pk}/[^"]*)', page)):
        assert parse_qs(urlsplit(unescape(where)).query).keys() == {"filters"}
    said = urlsafe_b64decode(parse_qs(urlsplit(there).query)["filters"][0])
    assert not [value for value in filters.values() if len(value) > 3 and value.encode() in said]


def test_no_address_on_the_page_of_a_batch_says_what_its_only_case_is(client: Client, clinic: Organisation) -> None:
    """As of a patient's photo: to narrow a list of one shows nothing, and tells whoever is sent the address."""
    case = case_of(clinic)
    page = reverse("cases:batch", args=[case.batch_id])
    assert "?advice=" not in client.get(page).content.decode()
    case_of(clinic, batch=case.batch)
    assert "?advice=urgent_referral" in client.get(page).content.decode()


def test_what_was_opened_from_no_list_has_a_plain_address(client: Client, clinic: Organisation) -> None:
    case = case_of(clinic)
    address = reverse("cases:case", args=[case.pk])

    assert link_to(case, client) == address
    links = re.findall(r'(?:href|action)="([^"]*)"', client.get(address).content.decode())
    assert not [link for link in links if link.endswith("?")]


def test_filters_that_this_site_did_not_write_narrow_nothing(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    first, second = (case_of(clinic, batch=batch, malignant=risk) for risk in (0.9, 0.7))

    for forged in ("forged", "é", "\0"):
        page = client.get(reverse("cases:case", args=[second.pk]), {"filters": forged})
        assert page.context["previous"] == first
