"""`manage.py reseal_webhooks`: after a new SECRET_KEY, so that the one before it can be taken out of the settings."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.webhooks.models import Endpoint
from webapp.webhooks.services import reseal_secrets


class Command(BaseCommand):
    help = "Encrypt the secrets of webhooks under the present SECRET_KEY, reading them with SECRET_KEY_FALLBACKS too."

    def handle(self, *args: Any, **options: Any) -> None:
        lost = reseal_secrets()
        self.stdout.write(f"Under the present SECRET_KEY: {Endpoint.objects.count() - len(lost)} webhooks.")
        if lost:
            theirs = "\n".join(f"  {endpoint.pk} of {endpoint.organisation.name}" for endpoint in lost)
            raise CommandError(
                f"No key reads the secrets of these any more:\n{theirs}\nAdd the SECRET_KEY that they were made under "
                "to SECRET_KEY_FALLBACKS and run this again, or have their clinics rotate them on the webhook's page."
            )
