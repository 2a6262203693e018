"""A new SECRET_KEY: once all that is encrypted is so under it, the one before can go."""

import io
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import EndpointFactory, UserFactory
from webapp.accounts.second_factor import SecondFactorAdapter
from webapp.audit.services import SYSTEM
from webapp.webhooks.models import Endpoint
from webapp.webhooks.services import rotate_secret
from webapp.webhooks.signing import SecretLostError, unseal

pytestmark = pytest.mark.django_db


def reseal() -> str:
    out = io.StringIO()
    call_command("reseal", stdout=out)
    return out.getvalue()


def test_the_secrets_of_webhooks_are_read_without_the_key_before(settings: Settings) -> None:
    settings.SECRET_KEY = "old"
    endpoint = EndpointFactory.create()
    first = unseal(endpoint.sealed_secret)
    before = rotate_secret(actor=SYSTEM, endpoint=endpoint)
    secret = rotate_secret(actor=SYSTEM, endpoint=endpoint)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    for _ in range(2):
        assert reseal() == "All is encrypted under the present SECRET_KEY.\n"
    settings.SECRET_KEY_FALLBACKS = []
    endpoint = Endpoint.objects.get()
    assert unseal(endpoint.sealed_secret) == secret
    assert [unseal(sealed) for sealed, _ in endpoint.secrets_before(timezone.now())] == [before, first]
    settings.SECRET_KEY = "old"
    with pytest.raises(SecretLostError):
        unseal(endpoint.sealed_secret)


def test_second_factors_are_read_without_the_key_before(settings: Settings) -> None:
    settings.SECRET_KEY = "old"
    person = UserFactory.create()
    TOTP.activate(person, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(person).generate_codes()
    plain = Authenticator.objects.create(user=UserFactory(), type="totp", data={"secret": "KRSXG5CTMVRXEZLU"})
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    reseal()
    settings.SECRET_KEY_FALLBACKS = []
    factors = {factor.type: factor for factor in Authenticator.objects.filter(user=person)}
    assert SecondFactorAdapter().decrypt(factors["totp"].data["secret"]) == "JBSWY3DPEHPK3PXP"
    assert RecoveryCodes(factors["recovery_codes"]).generate_codes() == codes
    plain.refresh_from_db()  # it was from before they were encrypted
    assert plain.data["secret"] != "KRSXG5CTMVRXEZLU"
    assert SecondFactorAdapter().decrypt(plain.data["secret"]) == "KRSXG5CTMVRXEZLU"


def test_what_no_key_reads_is_named_and_left_and_the_others_go_on(settings: Settings) -> None:
    settings.SECRET_KEY = "older"
    lost = EndpointFactory.create()
    TOTP.activate(UserFactory(), "JBSWY3DPEHPK3PXP")
    factor = Authenticator.objects.get()
    settings.SECRET_KEY = "old"
    soon = timezone.now() + timedelta(hours=1)
    kept = EndpointFactory.create(sealed_previous_secret=lost.sealed_secret, previous_secret_until=soon)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    with pytest.raises(CommandError) as refused:
        reseal()
    assert f"second factor {factor.pk}, of user {factor.user_id}\n" in str(refused.value)
    assert f"webhook {lost.pk}, of {lost.organisation.name}\n" in str(refused.value)
    assert str(kept.pk) not in str(refused.value)
    settings.SECRET_KEY_FALLBACKS = []
    kept.refresh_from_db()
    assert unseal(kept.sealed_secret)
    assert kept.secrets_before(timezone.now()) == []  # or none of its deliveries would leave
    settings.SECRET_KEY_FALLBACKS = ["older"]  # it is found again
    reseal()
    factor.refresh_from_db()
    assert SecondFactorAdapter().decrypt(factor.data["secret"]) == "JBSWY3DPEHPK3PXP"
