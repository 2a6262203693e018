"""From a release's page: who decided on it, and when, however often it has served."""

import re

import pytest
from django.test import Client

from tests.factories import MembershipFactory, ReleaseFactory, UserFactory
from webapp.accounts.models import Membership
from webapp.accounts.services import remove_user
from webapp.audit.services import SYSTEM, Actor
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote, reject, roll_back

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(MembershipFactory(role=Membership.Role.OPERATOR).user)
    return client


def decisions(operator: Client, release: ModelRelease) -> list[str]:
    page = operator.get(f"/models/releases/{release.pk}/").content.decode()
    items = page.partition("Who decided on it")[2].partition("</ol>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", item).split()[4:]) for item in items.split("<li>")[1:]]


def test_each_decision_is_told_with_whose_it_was(operator: Client) -> None:
    alice, bob, carol = UserFactory(), UserFactory(), UserFactory()
    shipped, release = promote(actor=SYSTEM, release=ReleaseFactory()), ReleaseFactory()
    promote(actor=Actor(user=alice), release=release, note="Better on melanoma.")
    promote(actor=Actor(user=bob), release=ReleaseFactory())
    roll_back(actor=Actor(user=carol))
    assert decisions(operator, release) == [
        f"Made active again by a rollback by {carol.email}",
        f"Retired by {bob.email}",
        f"Made active by {alice.email}",
    ]
    assert decisions(operator, shipped)[-1] == "Made active by the system"
    put_aside = ReleaseFactory()
    assert decisions(operator, put_aside) == []
    reject(actor=Actor(user=bob), release=put_aside)
    assert decisions(operator, put_aside) == [f"Rejected by {bob.email}"]


def test_whose_account_is_gone_is_not_taken_for_the_system(operator: Client) -> None:
    person, release = UserFactory(), ReleaseFactory()
    promote(actor=Actor(user=person), release=release)
    assert f"by {person.email}" in operator.get("/models/").content.decode()
    remove_user(actor=SYSTEM, user=person)
    assert decisions(operator, release) == ["Made active by somebody whose account is deleted"]
    page = operator.get("/models/").content.decode()
    assert "by somebody whose account is deleted" in page
    assert "by the system" not in page


def test_the_reason_why_a_release_serves_stays_with_it_when_it_serves_again() -> None:
    promote(actor=SYSTEM, release=ReleaseFactory())
    release = promote(actor=SYSTEM, release=ReleaseFactory(), note="Compared by hand.")
    promote(actor=SYSTEM, release=ReleaseFactory())
    again = roll_back(actor=SYSTEM)
    assert again == release
    assert again.decision_note == "Compared by hand."
    promote(actor=SYSTEM, release=ReleaseFactory())
    assert promote(actor=SYSTEM, release=again).decision_note == "Compared by hand."
    promote(actor=SYSTEM, release=ReleaseFactory())
    assert promote(actor=SYSTEM, release=again, note="It was better.").decision_note.split("\n") == [
        "It was better.",
        "Compared by hand.",
    ]
