"""Addresses that look alike: nobody signs in as somebody else by one, whoever came first."""

import re
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, MembershipFactory, OrganisationFactory, PatientFactory, UserFactory
from tests.webapp.api.clinic import Clinic
from webapp.accounts.consent import join_as_patient
from webapp.accounts.models import Patient, User
from webapp.accounts.services import account_for
from webapp.addresses import in_one_form

pytestmark = pytest.mark.django_db
REAL, ALIKE = "jane@clinic.com", "jane@clınıc.com"  # the i of the second has no dot
ALIKES_FORM = "jane@xn--clnc-mzab.com"
BORN = date(1964, 3, 27)


@pytest.fixture(autouse=True)
def no_limits() -> Iterator[None]:
    """Of how often a code may be asked for."""
    cache.clear()
    yield
    cache.clear()


def sign_in(ask: str, email: str) -> tuple[User, list[str]]:
    """Who is signed in by asking for codes at this address and typing what comes, and where the codes went."""
    client = Client()
    page = client.post(ask, {"email": email})
    went = []
    while mail.outbox:
        letter = mail.outbox.pop()
        went += letter.to
        code = re.search(r"^\s*([A-Z0-9]{3,}(?:-?[A-Z0-9]+)*)\s*$", str(letter.body), re.MULTILINE)
        assert code is not None, letter.body
        page = client.post(page["Location"].split("?")[0], {"code": code[1]})
    return User.objects.get(pk=client.session["_auth_user_id"]), went


def at_the_door() -> str:
    return f"/join/{OrganisationFactory().slug}/"


def proven(user: User) -> list[str]:
    return list(EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True))


def test_at_a_clinics_door_a_look_alike_is_somebody_else() -> None:
    provider = MembershipFactory(user__email=REAL).user
    EmailAddress.objects.create(user=provider, email=REAL, verified=True, primary=True)

    stranger, went = sign_in(at_the_door(), ALIKE)

    assert stranger != provider
    assert set(went) == {ALIKES_FORM}
    assert (proven(provider), proven(stranger)) == ([REAL], [ALIKES_FORM])


def test_who_came_first_with_a_look_alike_is_not_joined_by_whoever_it_looks_like() -> None:
    first, _ = sign_in(at_the_door(), ALIKE)
    second, went = sign_in(at_the_door(), REAL)
    assert first != second
    assert set(went) == {REAL}
    assert (proven(first), proven(second)) == ([ALIKES_FORM], [REAL])


@pytest.mark.parametrize("email", ["JANE@Clinic.com", "jane@ｃlinic.com"])
def test_another_spelling_of_ones_own_mailbox_is_oneself(email: str) -> None:
    first, _ = sign_in(at_the_door(), REAL)
    again, went = sign_in(reverse("account_request_login_code"), email)
    assert again == first
    assert went == [REAL]


def test_a_domain_with_other_letters_signs_in_at_every_door_as_it_is_written() -> None:
    written = "anna@Müller.de"
    person, went = sign_in(at_the_door(), written)
    assert set(went) == {"anna@xn--mller-kva.de"}
    assert sign_in(reverse("account_request_login_code"), written)[0] == person
    person.set_password(PASSWORD)
    person.save()
    client = Client()
    client.post(reverse("account_login"), {"login": written, "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(person.pk)
    Client().post(reverse("account_reset_password"), {"email": written})
    assert [letter.to for letter in mail.outbox] == [["anna@xn--mller-kva.de"]]
    mail.outbox.clear()
    Client().post(reverse("account_signup"), {"email": written})
    assert User.objects.count() == 1


def test_a_further_address_is_kept_in_the_same_form() -> None:
    person, _ = sign_in(at_the_door(), REAL)
    client = Client()
    client.force_login(person)
    client.post(reverse("account_email"), {"email": ALIKE, "action_add": ""})
    assert [letter.to for letter in mail.outbox] == [[ALIKES_FORM]]


def test_a_look_alike_is_not_the_patient_whom_a_clinic_knows() -> None:
    known = PatientFactory(email="ann@clinic.com", date_of_birth=BORN)
    alike = account_for(email="ann@clınıc.com")
    assert join_as_patient(user=alike, organisation=known.organisation, date_of_birth=BORN) != known
    itself = account_for(email="Ann@Clinic.com")
    assert join_as_patient(user=itself, organisation=known.organisation, date_of_birth=BORN) == known


def test_a_clinics_software_says_addresses_in_any_spelling_and_none_that_gets_no_letters() -> None:
    clinic = Clinic()
    case = {"case_id": "a", "patient_id": "p", "patient_email": "Anna@MÜLLER.de", "images": ["a.jpg"]}
    clinic.create(case)
    clinic.create({**case, "case_id": "b", "patient_email": "anna@xn--mller-kva.de"})
    assert Patient.objects.get().email == "anna@xn--mller-kva.de"
    answer = clinic.post("/batches", {"cases": [{**case, "patient_email": "eveı@mail.com"}]})
    assert answer.status_code == 422
    assert "email_invalid" in answer.content.decode()


@pytest.mark.parametrize(
    "email", ["eveı@mail.com", "ſue@mail.com", f"a@{'b' * 64}é.com", f"a@{'b.' * 130}com", "@a.com"]
)
def test_what_mail_cannot_be_sent_to_is_no_address(email: str) -> None:
    with pytest.raises(ValidationError, match="Check its letters"):
        in_one_form(email)


@pytest.mark.parametrize("email", [ALIKE, "eveı@mail.com", "Jane@clinic.com"])
def test_the_database_holds_no_account_in_another_form(email: str) -> None:
    with pytest.raises(IntegrityError, match="user_email_in_one_form"), transaction.atomic():
        UserFactory(email=email)


def test_what_was_stored_before_is_brought_to_one_form_and_proves_no_look_alike() -> None:
    migration: Any = import_module("webapp.accounts.migrations.0010_addresses_in_one_form")
    jane, eve = UserFactory(email=REAL), UserFactory(email="former@home.example")
    for address in (REAL, ALIKE, "anna@müller.de"):
        EmailAddress.objects.create(user=jane, email=address, verified=True)
    patients = [PatientFactory(email=email) for email in ("Anna@Müller.de", "eveı@mail.com", "a@home.example")]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_user DROP CONSTRAINT user_email_in_one_form")
        cursor.execute("UPDATE accounts_user SET email = 'Eve@maıl.com' WHERE id = %s", [eve.pk])
        cursor.execute(migration.LOOK_ALIKES)
    with connection.schema_editor() as editor:
        migration.bring(apps, editor)
    eve.refresh_from_db()
    assert eve.email == in_one_form("eve@maıl.com") != "eve@mail.com"
    assert set(proven(jane)) == {REAL, "anna@xn--mller-kva.de"}
    stored = [Patient.objects.get(pk=patient.pk).email for patient in patients]
    assert stored == ["anna@xn--mller-kva.de", "eveı@mail.com", "a@home.example"]
