"""What a second factor is made of, at rest."""

import structlog
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.db import transaction

from webapp.ciphers import seal, unseal

logger = structlog.get_logger(__name__)
PURPOSE = b"lesionlens second factors"
MADE_OF = ("secret", "seed")  # of an app, of recovery codes
ENCRYPTED = "gAAAAA"  # how whatever is encrypted begins, and no secret or seed does


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's own, which encrypts what codes are made of: whoever reads the database, or a backup, has no factor."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "unreadable": "Your second factor cannot be read any more. Ask an administrator of this site to take it away, "
        "then add it again."
    }

    def encrypt(self, text: str) -> str:
        return seal(PURPOSE, text)

    def decrypt(self, encrypted_text: str) -> str:
        if (text := unseal(PURPOSE, encrypted_text)) is not None:
            return text
        if encrypted_text.startswith(ENCRYPTED):  # as a seed, it would make codes that a backup's reader knows
            logger.error("second_factor_unreadable", hint="Add its SECRET_KEY to SECRET_KEY_FALLBACKS.")
            raise self.validation_error("unreadable")
        return encrypted_text  # it is from before they were encrypted


@transaction.atomic
def reseal_second_factors() -> list[Authenticator]:
    """Encrypt every factor under the present SECRET_KEY, so that an earlier one can go. Gives those that no key reads,
    which it leaves as they are.
    """
    adapter, lost = SecondFactorAdapter(), []
    for factor in Authenticator.objects.select_for_update().order_by("pk"):
        try:
            plain = {name: adapter.decrypt(factor.data[name]) for name in MADE_OF if name in factor.data}
        except ValidationError:
            lost.append(factor)
            continue
        factor.data |= {name: adapter.encrypt(text) for name, text in plain.items()}
        factor.save(update_fields=["data"])
    return lost
