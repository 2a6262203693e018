"""Who may go no further: strangers who send much, and staff without the second factor that they must have."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from webapp.accounts.models import User
from webapp.accounts.permissions import signed_out
from webapp.api.problems import problem_json
from webapp.errors import Problem
from webapp.pages.requests import asks_for_json, body_length

TOLD = "Your site asks staff for a second factor. Add an authenticator app, and go on."
STRANGERS_BYTES = 64 * 1024  # a form to sign in, or to open a result


class SmallForStrangers:
    """Refuses a large body of somebody who has not signed in, before anybody reads it.

    It stands before the check of forms' tokens, which reads the whole body of whoever sends it, files too. The API and
    the doors for uploads are exempt from that check, and look at who sends before they read.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """None where the view may answer, else what to do: a page, or for the script of one, as `for_roles`."""
        small = body_length(request) <= STRANGERS_BYTES
        if getattr(view, "csrf_exempt", False) or small or request.user.is_authenticated:
            return None
        if asks_for_json(request):
            return signed_out()
        return render(request, "413.html", status=413)


def lacks_second_factor(user: User | AnonymousUser) -> bool:
    """Whether this person must add a second factor before anything else."""
    return settings.REQUIRE_SECOND_FACTOR and user.is_authenticated and user.works_here and not is_mfa_enabled(user)


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
        if request.resolver_match and request.resolver_match.route.startswith("account/"):
            return None
        if not lacks_second_factor(request.user):
            return None
        if request.path.startswith(reverse("api:root")):
            return problem_json(Problem("second_factor_required", TOLD, status=403))
        if HtmxDetails(request):
            return HttpResponseClientRedirect(reverse("mfa_activate_totp"))
        return redirect("mfa_activate_totp")
