"""`manage.py createsuperuser`, as somebody types it who may have signed up before."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.factories import UserFactory
from webapp.accounts.models import User

pytestmark = pytest.mark.django_db


def make(email: str) -> None:
    call_command("createsuperuser", "--noinput", email=email, stdout=StringIO())


def test_an_address_that_has_an_account_is_told_in_a_sentence() -> None:
    UserFactory(email="me@clinic.example")
    with pytest.raises(CommandError, match="There is an account of this address already"):
        make("Me@Clinic.example")
    make("new@clinic.example")
    assert [user.email for user in User.objects.filter(is_superuser=True)] == ["new@clinic.example"]
