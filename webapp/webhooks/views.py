"""Pages on which a clinic says where its software is told what happens, and sees whether it was."""

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.errors import Problem
from webapp.pages.keyset import page_of
from webapp.pages.problems import telling
from webapp.webhooks import services
from webapp.webhooks.forms import EndpointForm, ReplayForm
from webapp.webhooks.models import Delivery, Endpoint
from webapp.webhooks.selectors import deliveries_of, endpoints_of
from webapp.webhooks.signing import is_lost


@for_roles(Role.PROVIDER)
@require_GET
def endpoints(request: HttpRequest) -> HttpResponse:
    """The clinic's webhooks."""
    return render(request, "webhooks/endpoints.html", {"endpoints": endpoints_of(organisation_of(request))})


@for_roles(Role.PROVIDER)
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """Add a webhook; a POST that does shows its secret on this page, this once."""
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint, secret = services.create_endpoint(
                actor=actor_of(request), organisation=organisation_of(request), **form.cleaned_data
            )
        except Problem as problem:
            form.add_error(None, problem.message)
        else:
            return render(request, "webhooks/secret.html", {"endpoint": endpoint, "secret": secret})
    return render(request, "webhooks/form.html", {"form": form})


@for_roles(Role.PROVIDER)
@require_GET
def endpoint(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """One webhook and the log of its deliveries, by state where that is asked for."""
    found = _endpoint(request, endpoint_id)
    state = request.GET.get("state", "")
    page = page_of(deliveries_of(found, state=state), ["-created_at", "-id"], after=request.GET.get("after", ""))
    context = {
        "endpoint": found,
        "page": page,
        "state": state,
        "states": Delivery.State.values,
        "replay": ReplayForm(),
        "keep_days": settings.WEBHOOK_KEEP_DAYS,
        "before": [until for _, until in found.secrets_before(timezone.now())],
        "secret_is_lost": is_lost(found.sealed_secret),
    }
    return render(request, "webhooks/endpoint.html", context)


@for_roles(Role.PROVIDER)
def edit(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Change where a webhook goes and what it is told."""
    found = _endpoint(request, endpoint_id)
    form = EndpointForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        try:
            if form.has_changed():
                services.change_endpoint(actor=actor_of(request), endpoint=found, **form.changes)
        except Problem as problem:
            form.add_error(None, problem.message)
        else:
            messages.success(request, "The webhook was changed.")
            return _back(found)
    return render(request, "webhooks/form.html", {"form": form, "endpoint": found})


@for_roles(Role.PROVIDER)
@require_POST
@never_cache
def rotate(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Make a new secret and show it, this once."""
    found = _endpoint(request, endpoint_id)
    try:
        secret = services.rotate_secret(actor=actor_of(request), endpoint=found)
    except Problem as problem:
        messages.error(request, problem.message)
        return _back(found)
    return render(request, "webhooks/secret.html", {"endpoint": found, "secret": secret, "rotated": True})


@for_roles(Role.PROVIDER)
@require_POST
def enable(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Send to it again."""
    found = _endpoint(request, endpoint_id)
    with telling(request):
        services.enable(actor=actor_of(request), endpoint=found)
        messages.success(request, "The webhook is enabled. What failed in the meantime can be replayed below.")
    return _back(found)


@for_roles(Role.PROVIDER)
@require_POST
def disable(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Send nothing more to it."""
    found = _endpoint(request, endpoint_id)
    services.disable(actor=actor_of(request), endpoint=found)
    messages.success(request, "The webhook is disabled. Events that happen from now on are not kept for it.")
    return _back(found)


@for_roles(Role.PROVIDER)
@require_POST
def remove(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Forget it with its log."""
    services.remove_endpoint(actor=actor_of(request), endpoint=_endpoint(request, endpoint_id))
    messages.success(request, "The webhook was removed.")
    return redirect("webhooks:endpoints")


@for_roles(Role.PROVIDER)
@require_POST
def test(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Send a test event now, and say what was answered."""
    found = _endpoint(request, endpoint_id)
    try:
        delivery = services.send_test(actor=actor_of(request), endpoint=found)
    except Problem as problem:
        messages.error(request, problem.message)
        return _back(found)
    if delivery.state == Delivery.State.DELIVERED:
        last = delivery.log[-1]
        messages.success(request, f"The test was taken: {last.status} after {last.milliseconds} ms.")
    else:
        messages.error(request, f"The test failed. {delivery.error}")
    return _back(found)


@for_roles(Role.PROVIDER)
@require_POST
def replay(request: HttpRequest, endpoint_id: uuid.UUID, delivery_id: uuid.UUID) -> HttpResponse:
    """Send one delivery once more."""
    found = _endpoint(request, endpoint_id)
    delivery = get_object_or_404(found.deliveries.select_related("endpoint__organisation"), pk=delivery_id)
    with telling(request):
        services.replay(actor=actor_of(request), delivery=delivery)
        messages.success(request, "The event will be sent again.")
    return _back(found)


@for_roles(Role.PROVIDER)
@require_POST
def replay_failed(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Send all that failed since a time once more."""
    found = _endpoint(request, endpoint_id)
    form = ReplayForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Give the day and the time since when failed events are sent again.")
        return _back(found)
    with telling(request):
        count = services.replay_failed(actor=actor_of(request), endpoint=found, since=form.cleaned_data["since"])
        messages.success(request, f"{count} event{'' if count == 1 else 's'} will be sent again.")
    return _back(found)


def _endpoint(request: HttpRequest, endpoint_id: uuid.UUID) -> Endpoint:
    return get_object_or_404(Endpoint, pk=endpoint_id, organisation=organisation_of(request))


def _back(endpoint: Endpoint) -> HttpResponse:
    return redirect("webhooks:endpoint", endpoint_id=endpoint.pk)
