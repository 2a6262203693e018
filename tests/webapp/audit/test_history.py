"""Who viewed or changed a case, on its page: in the words of the trail, and with a way to all of it."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory, ImageFactory, MembershipFactory, UserFactory
from tests.webapp.api.clinic import Clinic, good
from webapp.accounts.models import Membership
from webapp.audit.services import SYSTEM, Actor, record
from webapp.cases.models import Case
from webapp.cases.review import release_case

pytestmark = pytest.mark.django_db


@pytest.fixture
def case(provider: Membership) -> Case:
    made: Case = CaseResultFactory(case__batch__organisation=provider.organisation).case
    return made


def page_of(client: Client, case: Case) -> str:
    return client.get(reverse("cases:case", args=[case.pk])).content.decode()


def test_it_says_who_without_the_address_of_an_outsider(client: Client, case: Case, provider: Membership) -> None:
    patient, other = UserFactory(email="jane@home.example"), MembershipFactory().user
    for actor, action, detail in [
        (SYSTEM, "result.viewed", "by the link in an e-mail"),
        (SYSTEM, "image.viewed", "clean, by the link in an e-mail"),
        (SYSTEM, "result_link.wrong_date", ""),
        (Actor(user=patient), "image.viewed", ""),
        (Actor(user=other), "case.viewed", ""),
    ]:
        record(actor=actor, action=action, object_id=case.pk, organisation=case.organisation, detail=detail)

    html = page_of(client, case)

    history = html.partition("Who viewed or changed it")[2].partition("</section>")[0]
    assert history.count("Whoever has the link") == 3
    assert history.count("A patient, or somebody who has left") == 2
    assert provider.user.email in history
    assert patient.email not in html
    assert other.email not in html


def test_what_another_clinic_asks_for_by_the_id_of_a_case_is_not_in_its_history(client: Client, case: Case) -> None:
    other = Clinic()
    good(other.get("/cases", batch=str(case.pk)))

    history = page_of(client, case).partition("Who viewed or changed it")[2].partition("</section>")[0]

    assert other.key.prefix not in history
    assert "Case viewed" in history


def test_all_of_it_can_be_read(client: Client, case: Case, provider: Membership) -> None:
    release_case(actor=Actor(user=provider.user), case=case)
    for image in (ImageFactory(case=case), ImageFactory(case__batch=case.batch)):
        how = "clean, by the link in an e-mail" if image.case == case else "of another case"
        record(actor=SYSTEM, action="image.viewed", object_id=image.pk, organisation=case.organisation, detail=how)
    for _ in range(25):
        html = page_of(client, case)
    assert "Case released" not in html
    address = f"{reverse('audit:events')}?object_id={case.pk}"
    assert f'href="{address}"' in html
    trail = client.get(address).content.decode()
    assert "Case released" in trail
    assert "clean, by the link" in trail
    assert "of another case" not in trail


@pytest.mark.parametrize("own_id", ["A-7", "0b9f6d0e-5f1c-4a44-8a53-0d2f6f3f9a10"])
def test_a_clinics_own_id_finds_what_happened_to_its_cases(client: Client, provider: Membership, own_id: str) -> None:
    batches = BatchFactory.create_batch(2, organisation=provider.organisation)
    for batch, name in [(batches[0], own_id), (batches[1], own_id), (batches[0], "B-8"), (BatchFactory(), own_id)]:
        case = CaseFactory(batch=batch, external_id=name)
        detail = f"{name} of {'us' if batch in batches else 'others'}"
        for action, seen in [("case.viewed", case.pk), ("image.viewed", ImageFactory(case=case).pk)]:
            record(actor=SYSTEM, action=action, object_id=seen, organisation=provider.organisation, detail=detail)

    trail = client.get(reverse("audit:events"), {"object_id": own_id.lower()}).content.decode()

    assert trail.count(f"{own_id} of us</td>") == 4
    assert "B-8 of us" not in trail
    assert f"{own_id} of others" not in trail
    assert "B-8 of us" in client.get(reverse("audit:events")).content.decode()


@pytest.mark.parametrize("role", ["provider", "operator"])
def test_who_may_read_the_trail_finds_it_in_the_menu(client: Client, role: str) -> None:
    client.force_login(MembershipFactory(role=role).user)
    menu = client.get(reverse("audit:events")).content.decode().partition('aria-label="Main"')[2].partition("</nav>")[0]
    assert f'href="{reverse("audit:events")}" aria-current="page"' in menu


def test_a_clinic_finds_its_trail(client: Client, provider: Membership) -> None:
    page = client.get(reverse("accounts:organisation")).content.decode().partition("<main")[2]
    assert f'href="{reverse("audit:events")}"' in page
