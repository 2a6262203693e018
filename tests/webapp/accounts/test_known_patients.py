"""Whom a clinic knows by address and date of birth: nobody finds the date by trying."""

from datetime import date

import pytest

from tests.factories import OrganisationFactory, PatientFactory, UserFactory
from tests.webapp.elsewhere import at_once
from webapp.accounts.consent import MAX_WRONG_DATES, join_as_patient
from webapp.accounts.models import Patient, User
from webapp.accounts.services import correct_patient, remove_user
from webapp.audit.services import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "me@home.example"
BORN = date(1964, 3, 27)


@pytest.fixture
def known() -> Patient:
    patient: Patient = PatientFactory(organisation=OrganisationFactory(), email=ADDRESS, date_of_birth=BORN)
    return patient


def anew() -> User:
    """Another account of the address: the one before has another by now."""
    for user in User.objects.filter(email=ADDRESS):
        user.email = f"former-{user.pk}@home.example"
        user.save()
    made: User = UserFactory(email=ADDRESS)
    return made


def guess(known: Patient, day: int) -> Patient:
    born = date(1964, 3, day)
    return join_as_patient(user=anew(), organisation=known.organisation, date_of_birth=born)


def test_after_five_accounts_that_were_wrong_the_right_date_finds_nothing(known: Patient) -> None:
    for day in range(1, MAX_WRONG_DATES + 1):
        assert guess(known, day) != known
    assert guess(known, BORN.day) != known
    known.refresh_from_db()
    assert known.user is None


def test_the_last_try_finds_it(known: Patient) -> None:
    for day in range(1, MAX_WRONG_DATES):
        guess(known, day)
    assert guess(known, BORN.day) == known


def test_whoever_corrects_the_patient_gives_the_tries_back(known: Patient) -> None:
    for day in range(1, MAX_WRONG_DATES + 1):
        guess(known, day)
    correct_patient(actor=SYSTEM, patient=known, email=ADDRESS, date_of_birth=BORN)
    assert guess(known, BORN.day) == known


def test_an_account_that_is_deleted_gives_none_back(known: Patient) -> None:
    for day in range(1, MAX_WRONG_DATES + 1):
        guess(known, day)
    for user in User.objects.all():
        remove_user(actor=SYSTEM, user=user)
    assert guess(known, BORN.day) != known


def test_two_of_one_address_are_told_apart_without_a_cost(known: Patient) -> None:
    child = PatientFactory(organisation=known.organisation, email=ADDRESS, date_of_birth=date(2001, 5, 6))
    assert guess(known, BORN.day) == known
    child.refresh_from_db()
    assert child.wrong_dates == 0


def test_many_guesses_at_once_pay_for_each(known: Patient) -> None:
    users = [UserFactory() for _ in range(4)]

    def guess_wrong(number: int) -> None:
        users[number].email = ADDRESS  # as each account said when it was asked
        join_as_patient(user=users[number], organisation=known.organisation, date_of_birth=date(1990, 1, 1))

    at_once(guess_wrong, range(4))
    known.refresh_from_db()
    assert known.wrong_dates == 4
