"""What the tests of patients' pages share."""

import pytest
from django.test import Client

from tests.factories import PatientFactory, UserFactory
from webapp.accounts.models import Patient


@pytest.fixture
def patient(client: Client) -> Patient:
    """The patient who is signed in at `client`."""
    made: Patient = PatientFactory(user=UserFactory())
    assert made.user is not None
    client.force_login(made.user)
    return made
