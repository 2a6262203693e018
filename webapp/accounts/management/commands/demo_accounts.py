"""`manage.py demo_accounts`: the demo clinic and its people, for one's own machine."""

import json
import os
import secrets
from datetime import date
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.urls import reverse

from webapp.accounts.consent import join_as_patient
from webapp.accounts.models import Membership, Organisation, User
from webapp.accounts.services import create_api_key, revoke_api_key
from webapp.audit.services import SYSTEM, Actor

PASSWORD_FILE = settings.STATE / "demo-password"
PROVIDER = "provider@demo.example"
MEMBERS = {
    PROVIDER: Membership.Role.PROVIDER,
    "annotator1@demo.example": Membership.Role.ANNOTATOR,
    "annotator2@demo.example": Membership.Role.ANNOTATOR,
    "annotator3@demo.example": Membership.Role.ANNOTATOR,
    "operator@demo.example": Membership.Role.OPERATOR,
}
PATIENT = "patient@demo.example"
KEY_NAME = "Demo"


class Command(BaseCommand):
    help = "Makes the demo clinic, its accounts and a new API key, and prints them as one JSON object."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.LOCAL:
            raise CommandError("Demo accounts are only for one's own machine: they need LOCAL=1.")
        clinic, _ = Organisation.objects.get_or_create(
            slug="demo",
            defaults={"name": "Demo Clinic", "help_phone": "0000 000 000", "contact_email": "desk@demo.example"},
        )
        password = _password()
        hashed = _hashed(password)
        for email, role in MEMBERS.items():
            user = _user(email, hashed)
            Membership.objects.update_or_create(user=user, defaults={"organisation": clinic, "role": role})
        join_as_patient(user=_user(PATIENT, hashed), organisation=clinic, date_of_birth=date(1980, 1, 1))
        for key in clinic.api_keys.filter(name=KEY_NAME, revoked_at=None):
            revoke_api_key(actor=SYSTEM, key=key)
        maker = Actor(user=User.objects.get(email=PROVIDER))
        _, secret = create_api_key(actor=maker, organisation=clinic, name=KEY_NAME)
        accounts = [{"role": str(role), "email": email} for email, role in MEMBERS.items()]
        self.stdout.write(
            json.dumps(
                {
                    "clinic": clinic.name,
                    "password": password,
                    "accounts": [*accounts, {"role": "patient", "email": PATIENT}],
                    "api_key": secret,
                    "join_url": settings.SITE_URL + reverse("patient:join", args=[clinic.slug]),
                }
            )
        )


def _password() -> str:
    """DEMO_PASSWORD, or one that is made once for this machine and kept where only its owner reads it."""
    if given := os.environ.get("DEMO_PASSWORD"):
        return given
    path = Path(PASSWORD_FILE)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(12))
    return path.read_text().strip()


def _hashed(password: str) -> str:
    """The password as all accounts keep it: hashed once, which is slow, and then kept: who is signed in stays so."""
    kept = User.objects.filter(email=PROVIDER).values_list("password", flat=True).first()
    return kept if kept and check_password(password, kept) else make_password(password)


def _user(email: str, hashed: str) -> User:
    """A person with a verified address and this password."""
    user, _ = User.objects.update_or_create(email=email, defaults={"password": hashed})
    EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    return user
