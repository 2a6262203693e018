"""`manage.py reseal`: after a new SECRET_KEY, so that the one before it can be taken out of the settings."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.second_factor import reseal_second_factors
from webapp.webhooks.services import reseal_secrets


class Command(BaseCommand):
    help = "Encrypt second factors and webhooks' secrets under the present SECRET_KEY, also those under earlier ones."

    def handle(self, *args: Any, **options: Any) -> None:
        lost = [f"second factor {factor.pk}, of user {factor.user_id}" for factor in reseal_second_factors()]
        lost += [f"webhook {endpoint.pk}, of {endpoint.organisation.name}" for endpoint in reseal_secrets()]
        if lost:
            theirs = "\n".join(f"  {name}" for name in lost)
            raise CommandError(
                f"No key reads these any more, and all others are under the present SECRET_KEY:\n{theirs}\n"
                "Add the SECRET_KEY that they were made under to SECRET_KEY_FALLBACKS and run this again. Where it is "
                "lost, delete the second factors in the administration, and have clinics rotate the webhooks' secrets."
            )
        self.stdout.write("All is encrypted under the present SECRET_KEY.")
