"""The site's settings, but passwords are hashed in a thousandth of the rounds, which are slow on purpose."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from webapp.settings import *  # noqa: F403


class QuickHasher(PBKDF2PasswordHasher):
    iterations = PBKDF2PasswordHasher.iterations // 1000


PASSWORD_HASHERS = [f"{__name__}.{QuickHasher.__name__}"]
