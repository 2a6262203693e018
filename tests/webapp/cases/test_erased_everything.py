"""All that a clinic holds of a patient is erased at once, and a person whose account is deleted is in no row."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse

from tests.factories import (
    ArchiveFactory,
    BatchFactory,
    CaseFactory,
    MembershipFactory,
    MessageFactory,
    PatientFactory,
    UserFactory,
)
from tests.webapp.cases.telling import MARK, everything, telling
from webapp.accounts.models import Membership, Patient, User
from webapp.accounts.services import remove_user
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases import erasure
from webapp.cases.erasure import erase_case, erase_patient
from webapp.cases.models import Case
from webapp.notify.clinics import notify_clinic
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db(transaction=True)


def test_everything_of_a_patient_goes_at_once(client: Browser, provider: Membership) -> None:
    user = UserFactory()
    found = telling(user=user)
    Membership.objects.filter(pk=provider.pk).update(organisation=found.organisation)
    clinic = found.organisation
    others = [CaseFactory(batch__organisation=clinic, patient=found.case.patient, notes=MARK) for _ in range(2)]
    stays = CaseFactory(batch=others[0].batch)
    ask = reverse("cases:case_erase", args=[found.case_id])
    asked = client.get(ask).content.decode()
    assert "2 other cases" in asked
    assert "Their account stays" in asked

    page = client.post(ask, {"everything": "1"}, follow=True)

    assert "Everything of this patient was erased." in page.content.decode()
    assert [row for row in everything() if MARK in row or "datetime.date(1951" in row] == []
    assert not user.patients.exists()
    assert User.objects.filter(pk=user.pk).exists()
    assert set(Case.objects.filter(erased_at=None)) == {stays}
    assert Event.objects.get(action="patient.erased").user == provider.user


def test_one_button_erases_the_case_alone(client: Browser, provider: Membership) -> None:
    patient = PatientFactory(organisation=provider.organisation)
    one, other = (CaseFactory(batch__organisation=provider.organisation, patient=patient) for _ in range(2))

    client.post(reverse("cases:case_erase", args=[one.pk]))

    assert set(Case.objects.filter(erased_at=None)) == {other}
    html = client.get(reverse("cases:case_erase", args=[other.pk])).content.decode()
    assert "Everything of this patient" not in html


def test_everything_waits_for_a_zip(client: Browser, provider: Membership) -> None:
    patient = PatientFactory(organisation=provider.organisation)
    one, two = (CaseFactory(batch__organisation=provider.organisation, patient=patient) for _ in range(2))
    ArchiveFactory(batch=two.batch, stored=True)
    erase = reverse("cases:case_erase", args=[one.pk])

    html = client.post(erase, {"everything": "1"}, follow=True).content.decode()

    assert "so nothing was erased" in html
    assert f'href="{erase}' in html
    assert set(Case.objects.filter(erased_at=None)) == {one, two}


def test_a_case_that_comes_at_this_moment_is_erased_too(monkeypatch: pytest.MonkeyPatch) -> None:
    image = telling()
    coming = [image.case.patient]

    def erased_and_one_comes(*, actor: Actor, case: Case) -> None:
        erase_case(actor=actor, case=case)
        while coming:
            CaseFactory(batch__organisation=image.organisation, patient=coming.pop(), notes=MARK)

    CaseFactory(batch__organisation=image.organisation, patient=image.case.patient)
    monkeypatch.setattr(erasure, "erase_case", erased_and_one_comes)
    erase_patient(actor=SYSTEM, patient=image.case.patient)

    assert Case.objects.filter(erased_at=None).count() == 0
    assert [row for row in everything() if MARK in row] == []


@pytest.mark.parametrize("account", [True, False])
def test_everything_is_erased_once(account: bool) -> None:
    patient = telling(user=UserFactory() if account else None).case.patient
    CaseFactory(batch__organisation=patient.organisation, patient=patient)

    erase_patient(actor=SYSTEM, patient=patient)
    rows = list(everything())
    erase_patient(actor=SYSTEM, patient=patient)  # as a second press does that waited behind the first

    assert list(everything()) == rows
    assert Event.objects.get(action="patient.erased").object_id == str(patient.pk)


# the account


@pytest.mark.parametrize("account_first", [False, True])
def test_a_person_who_is_forgotten_is_in_no_row(client: Browser, account_first: bool) -> None:
    user = UserFactory(email=f"{MARK.lower()}@home.example")
    image = telling(user=user)
    administrator = UserFactory(is_superuser=True, is_staff=True)
    client.force_login(administrator)
    steps = [
        lambda: erase_case(actor=SYSTEM, case=image.case),
        lambda: client.post(reverse("admin:accounts_user_delete", args=[user.pk]), {"post": "yes"}),
    ]
    client.post(reverse("admin:accounts_user_change", args=[user.pk]), {"is_active": "on", "is_staff": "on"})

    for step in reversed(steps) if account_first else steps:
        step()

    assert not User.objects.filter(pk=user.pk).exists()
    assert [row for row in everything() if MARK.lower() in row.lower() or "datetime.date(1951" in row] == []
    logged = list(LogEntry.objects.values_list("object_repr", flat=True))
    assert logged == [f"person {user.pk}"] * 2


def test_a_provider_who_is_forgotten_is_in_no_letter(client: Browser) -> None:
    """What became of the letters is told where they cannot be sent, with the address."""
    user = MembershipFactory(user__email=f"{MARK.lower()}@clinic.example").user
    sent, failed = BatchFactory.create_batch(
        2, completed=True, organisation=user.membership.organisation, created_by=user
    )
    other = BatchFactory(completed=True, organisation=user.membership.organisation)
    for batch in (sent, failed, other):
        notify_clinic(batch=batch)
    Message.objects.filter(batch=failed).update(state="failed", error="no such address")
    patients = MessageFactory(case__batch=sent)
    client.force_login(UserFactory(is_superuser=True, is_staff=True))

    client.post(reverse("admin:accounts_user_delete", args=[user.pk]), {"post": "yes"})

    assert not User.objects.filter(pk=user.pk).exists()
    assert [row for row in everything() if MARK.lower() in row.lower()] == []
    assert set(Message.objects.values_list("batch", "case")) == {(other.pk, None), (sent.pk, patients.case_id)}


def test_a_person_who_is_forgotten_stays_a_patient_of_the_cases_that_are_there() -> None:
    user = UserFactory()
    image = telling(user=user)

    remove_user(actor=SYSTEM, user=user)

    assert image.case.patient.external_id == MARK
    assert Patient.objects.get().user is None
