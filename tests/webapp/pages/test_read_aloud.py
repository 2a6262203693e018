"""What a page is called, and whose a value in a table is, for who hears it."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from deploy.local.stack import ROOT
from tests.factories import (
    CaseFactory,
    DeliveryFactory,
    EndpointFactory,
    ImageFactory,
    LabelFactory,
    MembershipFactory,
    MessageFactory,
    OrganisationFactory,
    ResultFactory,
    api_key,
)
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
    MessageFactory(case__batch__organisation=member.organisation, state="failed", error="refused")
    for address in (
        "/organisation/keys/",
        "/webhooks/",
        f"/webhooks/{delivery.endpoint.pk}/",
        reverse("notify:messages"),
        "/audit/",
    ):
        assert_rows_have_headers(client, address)
    case = CaseFactory(batch__organisation=member.organisation)
    for address in ("/batches/", f"/batches/{case.batch.pk}/"):
        assert_rows_have_headers(client, address)
    annotator = MembershipFactory(role=Role.ANNOTATOR)
    LabelFactory(annotator=annotator.user, image__case__batch__organisation=annotator.organisation)
    client.force_login(annotator.user)
    assert_rows_have_headers(client, "/labels/mine/")


def assert_rows_have_headers(client: Client, address: str) -> None:
    rows = client.get(address).content.decode().split("<tbody>")[1].split("</tbody>")[0]
    assert rows.count("<tr") == rows.count('scope="row"') > 0, address


def test_the_account_button_is_called_what_it_shows(client: Client) -> None:
    member = MembershipFactory(role=Role.PROVIDER)
    client.force_login(member.user)
    page = client.get("/organisation/keys/").content.decode()
    [button] = re.findall(r'<button[^>]*data-bs-toggle="dropdown".*?</button>', page, re.DOTALL)
    assert "aria-label" not in button
    words = re.sub(r"<[^>]+>", " ", button).split()
    assert words == ["Your", "account", member.user.email]


def test_the_buttons_of_rows_are_called_what_they_show_and_then_whose_they_are(client: Client) -> None:
    member = MembershipFactory(role=Role.PROVIDER)
    letter = MessageFactory(case__batch__organisation=member.organisation, state="failed", error="refused")
    client.force_login(member.user)
    page = client.get(reverse("notify:messages")).content.decode()
    [button] = re.findall(r"<button[^>]*btn-sm.*?</button>", page, re.DOTALL)
    assert "aria-label" not in button
    assert " ".join(re.sub(r"<[^>]+>", "", button).split()) == (
        f"Send again: {letter.get_kind_display()}, to {letter.recipient}"
    )


def test_what_is_only_empty_as_yet_is_not_called_wrong() -> None:
    """Chromium calls a box, a choice or a file that is required so from the start, where the page does not deny it."""
    empty = re.compile(r'<(?:select|input[^>]*type="(?:checkbox|radio|file)")[^>]*\brequired\b[^>]*>')
    found = [tag for page in (ROOT / "webapp").rglob("*.html") for tag in empty.findall(page.read_text())]
    assert len(found) >= 8
    assert [tag for tag in found if "aria-invalid" not in tag] == []


def test_the_door_of_a_clinic_is_called_by_its_heading_and_the_clinic(client: Client) -> None:
    clinic = OrganisationFactory()
    page = client.get(f"/join/{clinic.slug}/").content.decode()
    assert f"<title>{heading(page)}: {clinic.name} · LesionLens</title>" in page


def test_a_key_is_no_part_of_a_name(client: Client) -> None:
    annotator = MembershipFactory(role=Role.ANNOTATOR)
    ImageFactory(ready=True, case__batch__organisation=annotator.organisation)
    client.force_login(annotator.user)
    assert_keys_are_told_apart(client, "/labels/")
    provider = MembershipFactory(role=Role.PROVIDER)
    result = ResultFactory(job__image__case__batch__organisation=provider.organisation)
    client.force_login(provider.user)
    assert_keys_are_told_apart(client, f"/cases/{result.case_id}/")


def assert_keys_are_told_apart(client: Client, address: str) -> None:
    page = client.get(address).content.decode()
    keys = re.findall("<kbd[^>]*>", page)
    assert len(keys) == page.count("aria-keyshortcuts=") > 0
    assert all('aria-hidden="true"' in key for key in keys)


def test_a_lone_case_has_documents_and_no_way_to_others(client: Client) -> None:
    provider = MembershipFactory(role=Role.PROVIDER)
    lone = CaseFactory(batch__organisation=provider.organisation)
    client.force_login(provider.user)
    assert "Cases of this batch" not in client.get(f"/cases/{lone.pk}/").content.decode()
    CaseFactory(batch=lone.batch)
    page = client.get(f"/cases/{lone.pk}/").content.decode()
    [ways] = re.findall('<nav[^>]*"Cases of this batch">.*?</nav>', page, re.DOTALL)
    assert "PDF" not in ways
    assert "PDF" in page
