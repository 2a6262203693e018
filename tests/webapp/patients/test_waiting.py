"""What a patient is told while there is no answer."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import CaseFactory, ImageFactory, OrganisationFactory
from webapp.accounts.models import Patient
from webapp.cases.models import Batch
from webapp.patients.words import HELP_NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def test_a_check_that_takes_long_says_so_and_whom_to_call(client: Client, patient: Patient) -> None:
    case = CaseFactory(
        patient=patient, batch__organisation=patient.organisation, batch__source=Batch.Source.PATIENT,
        batch__submitted=True,
    )  # fmt: skip
    ImageFactory(case=case, ready=True)
    address = f"/my/cases/{case.pk}/"
    type(patient.organisation).objects.update(help_phone="01632 960 001")
    assert "a minute or two" in client.get(address).content.decode()
    assert "HX-Refresh" not in client.get(f"{address}?seen=checking")

    Batch.objects.update(submitted_at=timezone.now() - timedelta(days=1))
    assert client.get(f"{address}?seen=checking")["HX-Refresh"] == "true"
    page = client.get(address).content.decode()
    assert "a minute or two" not in page
    assert "This takes longer than usual." in page
    assert "do not wait. Call" in page
    assert 'href="tel:01632960001"' in page
    assert "We are still checking your photo" in client.get("/my/").content.decode()


def test_pages_before_a_result_say_whom_to_call_in_an_emergency(client: Client, patient: Patient) -> None:
    clinic = OrganisationFactory()
    assert HELP_NOW in Client().get(f"/join/{clinic.slug}/").content.decode()
    for path in (f"/join/{clinic.slug}/", "/my/", "/my/photo/"):
        assert HELP_NOW in client.get(path).content.decode()
