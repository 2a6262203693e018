"""Ciphers for what only this site may read again: secrets at rest, and findings that an address carries."""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def seal(purpose: bytes, text: str) -> str:
    """The text, encrypted under a key that is derived from SECRET_KEY, another for each purpose."""
    return _cipher(purpose).encrypt(text.encode()).decode()


def unseal(purpose: bytes, sealed: str) -> str | None:
    """The text again, also where it was encrypted under one of SECRET_KEY_FALLBACKS; None where no key reads it."""
    try:
        return _cipher(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _cipher(purpose: bytes) -> MultiFernet:
    return MultiFernet([_key(secret, purpose) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(secret: str, purpose: bytes) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
