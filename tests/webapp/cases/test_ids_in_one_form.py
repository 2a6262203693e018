"""Ids that look alike are one: kept in Unicode's form NFC, and found however they are written."""

from importlib import import_module

import pytest
from django.db import connection
from django.urls import reverse

from tests.factories import CaseFactory, MembershipFactory, PatientFactory
from tests.webapp.api.clinic import Clinic, case, good
from webapp.accounts.models import Patient
from webapp.cases.models import Case

pytestmark = pytest.mark.django_db
COMPOSED, PARTED = "Zo\u00eb", "Zoe\u0308"


def test_an_id_is_found_however_it_is_written() -> None:
    clinic = Clinic()
    first = clinic.create(case(PARTED, patient_id=PARTED))
    second = clinic.create(case(COMPOSED, patient_id=COMPOSED))

    assert Patient.objects.get().external_id == COMPOSED
    for written in (COMPOSED, PARTED):
        for name in ("case_id", "patient_id"):
            found = good(clinic.get("/cases", **{name: written}))["results"]
            assert {row["batch"] for row in found} == {first["id"], second["id"]}
    clinic.http.force_login(MembershipFactory(organisation=clinic.organisation).user)
    page = clinic.http.get(reverse("cases:batches"), {"q": PARTED}, headers={"Authorization": ""})
    assert first["id"] in page.content.decode()


def test_ids_of_before_are_brought_to_one_form_unless_that_is_taken() -> None:
    clinic = Clinic()
    alone = PatientFactory(organisation=clinic.organisation, external_id=f"alone {PARTED}")
    known = PatientFactory(organisation=clinic.organisation, external_id=COMPOSED)
    alike = PatientFactory(organisation=clinic.organisation, external_id=PARTED)
    one = CaseFactory(patient=alike, batch__organisation=clinic.organisation, external_id=PARTED, lesion_id=PARTED)
    twins = [CaseFactory(batch=one.batch, patient=alike, external_id=f"twin {form}") for form in (COMPOSED, PARTED)]

    accounts = import_module("webapp.accounts.migrations.0004_ids_in_one_form")
    cases = import_module("webapp.cases.migrations.0013_ids_in_one_form")
    with connection.cursor() as cursor:
        for statement in (accounts.ONE_FORM, cases.ONE_FORM, cases.OF_LESIONS):
            cursor.execute(statement)

    for row, kept in ((alone, f"alone {COMPOSED}"), (known, COMPOSED), (alike, PARTED), (one, COMPOSED)):
        row.refresh_from_db()
        assert row.external_id == kept
    assert one.lesion_id == COMPOSED
    ids = set(Case.objects.filter(pk__in=[twin.pk for twin in twins]).values_list("external_id", flat=True))
    assert ids == {f"twin {COMPOSED}", f"twin {PARTED}"}
    found = good(clinic.get("/cases", patient_id=PARTED))["results"]
    assert len(found) == 3
