"""Who may enter: for pages a decorator, for the API permission classes. Everyone else gets 404 or 403."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import HTMX_STOP_POLLING, HttpResponseClientRedirect, reselect, reswap, retarget
from django_htmx.middleware import HtmxDetails
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from webapp.accounts.models import ApiKey, Membership, Organisation, User
from webapp.audit.services import Actor
from webapp.errors import Problem
from webapp.pages.requests import asks_for_json

Role = Membership.Role
SIGNED_OUT = "You are signed out. Sign in in another tab, then send this again. What you chose is still here."
NOT_DONE = "You were signed out, so what you sent did not arrive. Sign in, then do it again."
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class Guarded(Protocol):
    """A view that says who may enter."""

    entry: tuple[str, ...]


def for_roles(*roles: str) -> Callable[[View], View]:
    """A page for signed-in people with one of these roles (`User.role`).

    Who is not signed in is sent to do so; to a page of patients with a code, because they have no password. A script
    of a page is told instead (401), because it would take the page to sign in at for its answer.
    """
    door = "account_request_login_code" if roles == ("patient",) else None

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                if asks_for_json(request):
                    return signed_out()
                return _to_sign_in(request, door)
            if request.user.role not in roles:
                raise PermissionDenied
            return view(request, *args, **kwargs)

        cast(Guarded, guarded).entry = roles
        return cast(View, guarded)

    return decorate


def signed_out() -> JsonResponse:
    """What the script of a page is told once nobody is signed in any more."""
    return JsonResponse({"errors": [SIGNED_OUT]}, status=401)


def _to_sign_in(request: HttpRequest, door: str | None) -> HttpResponseBase:
    """To the page to sign in at, and back to the page that asked: an address that takes only a form answers no GET.

    htmx would put the page to sign in at in the place of a part of another: a press leaves for it, and a part that
    renews itself stops, and the page says so.
    """
    htmx = HtmxDetails(request)
    if request.method in ("GET", "HEAD") and not htmx:
        return redirect_to_login(request.get_full_path(), door)
    came_from = htmx.current_url_abs_path if htmx else _page_before(request)
    address = redirect_to_login(came_from or reverse("pages:home"), door).url
    if request.method != "GET":
        messages.warning(request, NOT_DONE)
        return HttpResponseClientRedirect(address) if htmx else redirect(address)
    told = render(request, "components/signed_out.html", {"sign_in": address}, status=HTMX_STOP_POLLING)
    return reselect(retarget(reswap(told, "innerHTML"), "#messages"), "#signed-out")


def _page_before(request: HttpRequest) -> str | None:
    """The page of this site whose form was sent, as a path and a query."""
    before, site = request.headers.get("Referer", ""), request.build_absolute_uri("/")
    return "/" + before.removeprefix(site) if before.startswith(site) else None


def for_everyone(view: View) -> View:
    """A page that needs no login; says so, because every view says who may enter."""
    cast(Guarded, view).entry = ("everyone",)
    return view


def actor_of(request: HttpRequest | Request) -> Actor:
    """Who makes this request, for the audit."""
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return Actor(api_key=key)
    return Actor(user=request.user if isinstance(request.user, User) else None)


def organisation_of(request: HttpRequest | Request) -> Organisation:
    """The organisation that this request acts for. Raises PermissionDenied where there is none."""
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return key.organisation
    membership: Membership | None = getattr(request.user, "membership", None)
    if membership is None:
        raise PermissionDenied
    return membership.organisation


def only_reads(request: Request) -> bool:
    """Whether it comes with a key that may change nothing."""
    return isinstance(request.auth, ApiKey) and request.auth.reads_only


class Nobody(BasePermission):
    """The default: an API view that does not say who may enter lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class Provider(BasePermission):
    """A clinic's software with an API key, or a signed-in provider.

    Raises Problem `key_reads_only` where the key may not do what is asked.
    """

    message = "Send an API key (Authorization: Bearer …), or sign in as a provider."

    def has_permission(self, request: Request, view: Any) -> bool:
        if only_reads(request) and request.method not in SAFE_METHODS:
            told = "This key only reads. Send one that may change things: a provider makes one on the page “API keys”."
            raise Problem("key_reads_only", told, status=403)
        return isinstance(request.auth, ApiKey) or getattr(request.user, "role", None) == Role.PROVIDER
