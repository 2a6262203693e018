"""A new SECRET_KEY: once the secrets of webhooks are encrypted under it, the one before can go."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import EndpointFactory
from webapp.audit.services import SYSTEM
from webapp.webhooks.models import Endpoint
from webapp.webhooks.services import rotate_secret
from webapp.webhooks.signing import SecretLostError, unseal

pytestmark = pytest.mark.django_db


def test_the_secrets_are_read_without_the_key_before(settings: Settings) -> None:
    settings.SECRET_KEY = "old"
    endpoint = EndpointFactory.create()
    before = unseal(endpoint.sealed_secret)
    secret = rotate_secret(actor=SYSTEM, endpoint=endpoint)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    for _ in range(2):
        out = io.StringIO()
        call_command("reseal_webhooks", stdout=out)
        assert out.getvalue() == "Under the present SECRET_KEY: 1 webhooks.\n"
    settings.SECRET_KEY_FALLBACKS = []
    [endpoint] = Endpoint.objects.all()
    assert unseal(endpoint.sealed_secret) == secret
    assert unseal(endpoint.sealed_previous_secret) == before
    settings.SECRET_KEY = "old"
    with pytest.raises(SecretLostError):
        unseal(endpoint.sealed_secret)


def test_those_that_no_key_reads_are_named_and_the_others_go_on(settings: Settings) -> None:
    settings.SECRET_KEY = "older"
    lost = EndpointFactory()
    settings.SECRET_KEY = "old"
    soon = timezone.now() + timedelta(hours=1)
    kept = EndpointFactory(sealed_previous_secret=lost.sealed_secret, previous_secret_until=soon)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    with pytest.raises(CommandError) as refused:
        call_command("reseal_webhooks", stdout=io.StringIO())
    assert f"{lost.pk} of {lost.organisation.name}\n" in str(refused.value)
    assert str(kept.pk) not in str(refused.value)
    settings.SECRET_KEY_FALLBACKS = []
    kept.refresh_from_db()
    assert unseal(kept.sealed_secret)
    assert not kept.signs_twice(timezone.now())  # or none of its deliveries would leave
