"""What is done with people's accounts waits for what is done with their cases in one order, so that neither ends it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial

import pytest
from django.db import transaction

from tests.factories import BatchFactory, OrganisationFactory, PatientFactory, UserFactory
from tests.webapp.elsewhere import elsewhere, somebody_waits
from tests.workers.waiting import wait_for
from webapp.accounts.consent import join_as_patient
from webapp.accounts.models import Patient, User
from webapp.accounts.services import remove_user
from webapp.audit.services import SYSTEM
from webapp.cases.locks import locked
from webapp.cases.models import Batch

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_signs_up_waits_for_a_batch_that_names_all_patients_of_the_address() -> None:
    clinic, born = OrganisationFactory(), date(1964, 3, 27)
    known = {"organisation": clinic, "email": "us@home.example", "date_of_birth": born}
    for name in ("b", "a"):  # made in another order than that of their ids
        PatientFactory(external_id=name, **known)
    user = UserFactory(email="us@home.example")
    join = partial(join_as_patient, user=user, organisation=clinic, date_of_birth=born)
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            by_name = Patient.objects.select_for_update(no_key=True)
            by_name.get(external_id="a")
            joined = thread.submit(elsewhere, join)
            wait_for(somebody_waits)
            by_name.get(external_id="b")
        assert joined.result().external_id == "b"  # whom the clinic has known longest


@pytest.mark.parametrize("known", [False, True])
def test_who_agrees_twice_at_once_is_one_patient(known: bool) -> None:
    clinic, born = OrganisationFactory(), date(1964, 3, 27)
    user = UserFactory(email="me@home.example")
    if known:
        PatientFactory(organisation=clinic, email=user.email, date_of_birth=born)
    join = partial(join_as_patient, user=user, organisation=clinic, date_of_birth=born)
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            first = join()
            second = thread.submit(elsewhere, join)
            wait_for(somebody_waits)
        assert second.result() == first
    assert Patient.objects.get() == first


def test_who_deletes_an_account_waits_for_the_erasure_of_a_case_that_it_sent() -> None:
    user = UserFactory()
    patient = PatientFactory(user=user)
    batch = BatchFactory(organisation=patient.organisation, created_by=user)

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            locked(batch.pk)
            removed = thread.submit(elsewhere, partial(remove_user, actor=SYSTEM, user=user))
            wait_for(somebody_waits)
            Patient.objects.select_for_update().get(pk=patient.pk)
        removed.result()
    assert not User.objects.exists()
    assert Batch.objects.get().created_by is None
