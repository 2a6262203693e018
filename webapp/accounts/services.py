"""Keys of clinics' software, and patients who sign in."""

import hashlib
import hmac
import secrets
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from webapp.accounts.models import ApiKey, Organisation, Patient, User
from webapp.audit.services import Actor, record

KEY_PREFIX = "llk"
LAST_USED_RESOLUTION = timedelta(minutes=1)  # one write a minute, not one a request


@transaction.atomic
def create_api_key(*, actor: Actor, organisation: Organisation, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which is never shown again."""
    prefix = secrets.token_hex(4)
    secret = f"{KEY_PREFIX}_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        organisation=organisation, name=name, prefix=prefix, secret_sha256=_digest(secret), created_by=actor.user
    )
    record(actor=actor, action="api_key.created", object_id=key.pk, organisation=organisation)
    return key, secret


@transaction.atomic
def revoke_api_key(*, actor: Actor, key: ApiKey) -> None:
    """End a key. Ending it twice changes nothing."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        record(actor=actor, action="api_key.revoked", object_id=key.pk, organisation=key.organisation)


def find_api_key(secret: str) -> ApiKey | None:
    """The live key of this secret, noting its use; None for a wrong or revoked one."""
    prefix = secret.removeprefix(f"{KEY_PREFIX}_").split("_", 1)[0]
    key = ApiKey.objects.filter(prefix=prefix, revoked_at=None).select_related("organisation").first()
    if key is None or not hmac.compare_digest(key.secret_sha256, _digest(secret)):
        return None
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_RESOLUTION:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def join_as_patient(*, user: User, organisation: Organisation, date_of_birth: date) -> Patient:
    """The signed-in person as a patient of this organisation, with the date of birth that opens their results."""
    patient, _ = Patient.objects.update_or_create(
        organisation=organisation,
        user=user,
        defaults={"email": user.email, "date_of_birth": date_of_birth},
        create_defaults={
            "external_id": f"web-{secrets.token_hex(6)}",
            "email": user.email,
            "date_of_birth": date_of_birth,
        },
    )
    return patient
