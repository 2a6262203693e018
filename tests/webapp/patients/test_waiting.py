"""What a patient is told while there is no answer."""

import pytest
from django.test import Client

from tests.factories import OrganisationFactory
from webapp.accounts.models import Patient
from webapp.patients.words import HELP_NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def test_pages_before_a_result_say_whom_to_call_in_an_emergency(client: Client, patient: Patient) -> None:
    clinic = OrganisationFactory()
    assert HELP_NOW in Client().get(f"/join/{clinic.slug}/").content.decode()
    for path in (f"/join/{clinic.slug}/", "/my/", "/my/photo/"):
        assert HELP_NOW in client.get(path).content.decode()
