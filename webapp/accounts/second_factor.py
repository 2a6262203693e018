"""What a second factor is made of, at rest."""

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import InvalidToken

from webapp.ciphers import cipher

PURPOSE = b"lesionlens second factors"


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's own, which encrypts what codes are made of: whoever reads the database, or a backup, has no factor."""

    def encrypt(self, text: str) -> str:
        return cipher(PURPOSE).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return cipher(PURPOSE).decrypt(encrypted_text.encode()).decode()
        except InvalidToken:  # it is from before they were encrypted
            return encrypted_text
