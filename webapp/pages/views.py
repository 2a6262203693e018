"""Where everybody starts, and what they see when something is wrong."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static

from webapp.accounts.models import User
from webapp.accounts.permissions import for_everyone
from webapp.pages.navigation import home_of


@for_everyone
def home(request: HttpRequest) -> HttpResponse:
    """What LesionLens is, for a visitor; the start of their work, for somebody who is signed in."""
    if isinstance(request.user, User):
        return redirect(home_of(request.user.role))
    return render(request, "pages/landing.html")


@for_everyone
def favicon(request: HttpRequest) -> HttpResponse:
    """The icon, where a browser looks that was not told: beside a file, or an answer of the API."""
    return redirect(static("pages/icon.svg"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that came without its token: mostly one that was open for long, or a browser without cookies."""
    return render(request, "403_csrf.html", status=403)
