"""Answers of a release that was rolled back stay behind: whoever rolls back is told how many, and who reviews which."""

import pytest
from django.test import Client

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory, MembershipFactory, ReleaseFactory
from webapp.accounts.models import Membership, Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.models import Case
from webapp.cases.review import release_case
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import rolled_back
from webapp.registry.services import promote, roll_back

pytestmark = pytest.mark.django_db
ROW = "Release rolled back"


@pytest.fixture
def first() -> ModelRelease:
    """The release that is rolled back to."""
    return promote(actor=SYSTEM, release=ReleaseFactory(name="first"))


@pytest.fixture
def second(first: ModelRelease) -> ModelRelease:
    """The active release."""
    return promote(actor=SYSTEM, release=ReleaseFactory(name="second"))


def answered(clinic: Organisation, release: ModelRelease) -> Case:
    case: Case = CaseFactory(batch=BatchFactory(organisation=clinic, completed=True))
    CaseResultFactory(case=case, release=release)
    return case


def test_only_what_was_rolled_back_from_counts_as_such(first: ModelRelease, second: ModelRelease) -> None:
    ReleaseFactory()
    assert rolled_back() == set()
    roll_back(actor=SYSTEM)
    assert rolled_back() == {second.pk}
    third = promote(actor=SYSTEM, release=ReleaseFactory())
    assert rolled_back() == {second.pk}
    promote(actor=SYSTEM, release=second)
    assert rolled_back() == set()
    promote(actor=SYSTEM, release=first)  # further back in one step
    assert rolled_back() == {second.pk, third.pk}


def test_rows_and_cases_say_so(client: Client, clinic: Organisation, first: ModelRelease, second: ModelRelease) -> None:
    cases = {release: answered(clinic, release) for release in (first, second)}
    given = release_case(actor=SYSTEM, case=answered(clinic, second))
    pages = {case: f"/cases/{case.pk}/" for case in (*cases.values(), given)}
    lists = ["/review/", f"/batches/{cases[second].batch_id}/", f"/batches/{given.batch_id}/"]

    def read(address: str) -> str:
        return client.get(address).content.decode()

    assert not any(ROW in read(address) for address in lists)
    assert not any("was rolled back since" in read(address) for address in pages.values())
    roll_back(actor=SYSTEM)
    assert [read(address).count(ROW) for address in lists] == [1, 1, 1]
    assert "was rolled back since" not in read(pages[cases[first]])
    assert "before you release a result" in read(pages[cases[second]])
    assert "What the patient was given has not changed" in read(pages[given])

    CaseResultFactory(case=cases[second], release=first)  # scored anew
    assert ROW not in read(lists[0])
    assert "was rolled back since" not in read(pages[cases[second]])


def test_whoever_rolls_back_is_told_what_stays(client: Client, first: ModelRelease, second: ModelRelease) -> None:
    client.force_login(MembershipFactory(role=Membership.Role.OPERATOR).user)
    pages = ("/models/", f"/models/roll-back/{first.pk}/")
    for address in pages:
        assert "No case holds an answer of second." in client.get(address).content.decode()
    clinics = [MembershipFactory().organisation for _ in range(2)]
    for clinic in clinics:
        answered(clinic, first)
        answered(clinic, second)
    release_case(actor=SYSTEM, case=answered(clinics[0], second))
    for address in pages:
        html = client.get(address).content.decode()
        assert "second answered 2 cases that nobody has reviewed and 1 whose patient was given the result." in html
