"""How sign-in by django-allauth fits LesionLens."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Anybody may sign up, and is a patient until a clinic makes them a member."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return True
