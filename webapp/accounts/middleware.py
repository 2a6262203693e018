"""Staff who must sign in with a second factor."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from webapp.api.problems import problem_json
from webapp.errors import Problem

TOLD = "Your site asks staff for a second factor. Add an authenticator app, and go on."


class SecondFactor:
    """With REQUIRE_SECOND_FACTOR, staff without one enter only the pages of their own account, where they add it.

    Who has one is asked for it at every sign-in. Patients, and software with a key, are not asked.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        """None where the view may answer, else what is answered instead."""
        user = request.user
        if (
            not settings.REQUIRE_SECOND_FACTOR
            or (request.resolver_match and request.resolver_match.route.startswith("account/"))
            or not user.is_authenticated
            or (user.role == "patient" and not user.is_staff)
            or is_mfa_enabled(user)
        ):
            return None
        if request.path.startswith(reverse("api:root")):
            return problem_json(Problem("second_factor_required", TOLD, status=403))
        messages.warning(request, TOLD)
        return redirect("mfa_activate_totp")
