"""Who may read which events."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory, UserFactory, api_key
from webapp.accounts.models import Membership
from webapp.accounts.services import remove_user
from webapp.audit.models import Event
from webapp.audit.selectors import SUBJECTS
from webapp.audit.services import SYSTEM, Actor, record

pytestmark = pytest.mark.django_db
WEBAPP = Path(__file__).resolve().parents[3] / "webapp"


def enter(client: Client, role: str) -> Membership:
    member: Membership = MembershipFactory(role=role)
    client.force_login(member.user)
    return member


def note(
    member: Membership, action: str = "case.viewed", object_id: object = "one", actor: Actor | None = None
) -> None:
    record(actor=actor or Actor(user=member.user), action=action, object_id=object_id, organisation=member.organisation)


def read(client: Client, **filters: str | int) -> str:
    response = client.get(reverse("audit:events"), filters)
    assert response.status_code == 200
    return response.content.decode()


def ids(page: str) -> list[str]:
    return re.findall(r"<code>(.*?)</code>", page)


def test_a_provider_reads_the_events_of_their_organisation_alone(client: Client, provider: Membership) -> None:
    note(provider, object_id="mine")
    note(MembershipFactory(), object_id="theirs")
    record(actor=SYSTEM, action="release.promoted", object_id="7", organisation=None)
    page = read(client)
    assert ids(page) == ["mine"]
    assert "Case viewed" in page
    assert provider.user.email in page


def test_an_operator_also_reads_about_the_model(client: Client) -> None:
    operator, other = enter(client, "operator"), MembershipFactory(role="operator")
    note(operator, object_id="mine")
    record(actor=Actor(user=other.user), action="release.promoted", object_id="7", organisation=None)
    record(actor=SYSTEM, action="api_key.created", object_id="8", organisation=None)
    page = read(client)
    assert ids(page) == ["7", "mine"]
    assert other.user.email not in page


@pytest.mark.parametrize("role", ["annotator", "patient"])
def test_others_do_not_enter(client: Client, role: str) -> None:
    client.force_login(UserFactory() if role == "patient" else MembershipFactory(role=role).user)
    assert client.get(reverse("audit:events")).status_code == 403


def test_events_are_narrowed_in_the_address(client: Client, provider: Membership) -> None:
    key, _ = api_key(organisation=provider.organisation)
    patient = UserFactory()
    note(provider, object_id="viewed")
    note(provider, "batch.created", "software", Actor(api_key=key))
    note(provider, "batch.submitted", "system", SYSTEM)
    note(provider, "patient.consented", "patient", Actor(user=patient))
    assert ids(read(client, subject="batch")) == ["system", "software"]
    assert ids(read(client, who=provider.user.pk)) == ["viewed"]
    assert "software" in ids(read(client, who="software"))
    assert "system" in ids(read(client, who="system"))
    assert ids(read(client, who="others")) == ["patient"]
    assert ids(read(client, object_id="viewed")) == ["viewed"]
    assert ids(read(client, until="2020-01-01")) == []
    page = read(client)
    assert patient.email not in page
    assert "@" not in "".join(re.findall(r'href="\?[^"]*"', page))


def test_a_filter_says_what_it_has_found_and_leads_back_to_all_events(client: Client, provider: Membership) -> None:
    note(provider)
    note(provider, "batch.created")
    everything, nothing = read(client), read(client, subject="webhook")
    clear = f'href="{reverse("audit:events")}">Clear'
    assert 'id="found"' not in everything
    assert clear not in everything
    found = read(client, subject="batch", who="", object_id="")
    assert 'id="found" tabindex="-1">1 event found<' in found
    assert clear in found
    assert "No event is like that" in nothing.partition('id="found" tabindex="-1"')[2]
    assert f'href="{reverse("audit:events")}">Show all' in nothing
    mistaken = read(client, since="nonsense")  # nothing is narrowed down
    assert len(ids(mistaken)) == 2
    assert 'id="found"' not in mistaken
    assert clear in mistaken


def test_what_people_did_who_have_no_account_any_more_or_came_by_a_link_is_not_the_systems(
    client: Client, provider: Membership
) -> None:
    patient, colleague = UserFactory(), MembershipFactory(organisation=provider.organisation).user
    for user, detail in [(patient, ""), (patient, "1, as asked"), (colleague, "x" * 300)]:
        record(
            actor=Actor(user=user), action="batch.submitted", object_id="account", detail=detail,
            organisation=provider.organisation,
        )  # fmt: skip
    for action, detail in [("result.viewed", "by the link in an e-mail"), ("result_link.renewed", "")]:
        record(actor=SYSTEM, action=action, object_id="link", organisation=provider.organisation, detail=detail)
    note(provider, "batch.cancelled", "system", SYSTEM)
    for user in (patient, colleague):
        remove_user(actor=Actor(user=provider.user), user=user)

    assert ids(read(client, who="system")) == ["system"]
    others = read(client, who="others")
    assert ids(others) == ["link", "link", "account", "account", "account"]
    rows = others.partition("<tbody>")[2]
    assert rows.count("A patient, or somebody who has left") == 3
    assert rows.count("Whoever has the link") == 2
    assert "1, as asked" in rows


def test_pages_follow_each_other_without_repeating_an_event(client: Client, provider: Membership) -> None:
    for number in range(120):
        note(provider, object_id=f"event-{number}")
    seen: list[str] = []
    address = reverse("audit:events")
    while address:
        page = client.get(address).content.decode()
        seen += ids(page)
        following = re.search(r'rel="next" href="(.*?)"', page)
        address = reverse("audit:events") + following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"event-{number}" for number in reversed(range(120))]


def test_every_action_of_the_code_can_be_filtered_for() -> None:
    actions = {
        found
        for path in WEBAPP.rglob("*.py")
        for found in re.findall(r'(?:action=f?|_record\(\w+, )"([a-z_]+)\.', path.read_text())
    }
    assert actions
    assert actions - SUBJECTS.keys() == set()
    assert Event.objects.count() == 0


def test_every_time_has_24_hours_also_where_administrators_look(client: Client, provider: Membership) -> None:
    note(provider)
    Event.objects.update(at=datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC))
    assert "22 Nov 2026, 15:04:05</time>" in read(client)

    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    page = client.get(reverse("admin:audit_event_changelist")).content.decode()
    assert "22 Nov 2026, 15:04</a>" in page
