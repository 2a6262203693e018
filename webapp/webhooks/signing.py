"""Signatures after the Standard Webhooks specification, and their secrets, which are stored encrypted.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from webapp import ciphers

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64
PURPOSE = b"lesionlens webhook secrets"


class SecretLostError(Exception):
    """A stored secret was encrypted under another SECRET_KEY."""


def new_secret() -> str:
    """A random secret as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def seal(secret: str) -> str:
    """The secret encrypted under a key that is derived from SECRET_KEY."""
    return ciphers.seal(PURPOSE, secret)


def unseal(sealed: str) -> str:
    """The secret again. Raises SecretLostError."""
    secret = ciphers.unseal(PURPOSE, sealed)
    if secret is None:
        raise SecretLostError
    return secret


def is_lost(sealed: str) -> bool:
    """Whether no SECRET_KEY that there is reads the secret."""
    return ciphers.unseal(PURPOSE, sealed) is None


def reseal(sealed: str) -> str:
    """The same secret, encrypted under the present SECRET_KEY alone. Raises SecretLostError."""
    return seal(unseal(sealed))


def signed_headers(*, webhook_id: str, body: bytes, at: datetime, keys: Sequence[str]) -> dict[str, str]:
    """The three headers of one attempt at `at`, with a signature by each of the secrets `keys`."""
    timestamp = str(int(at.timestamp()))
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
