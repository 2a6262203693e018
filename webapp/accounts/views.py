"""Pages on which a clinic's staff look after its keys and settings."""

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.forms import ApiKeyForm, OrganisationForm
from webapp.accounts.models import ApiKey
from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.accounts.services import change_settings, create_api_key, revoke_api_key


@for_roles(Role.PROVIDER)
@never_cache
def api_keys(request: HttpRequest) -> HttpResponse:
    """The clinic's keys; a POST makes one and shows its secret on this page, this once."""
    organisation = organisation_of(request)
    form = ApiKeyForm(request.POST or None, instance=ApiKey(organisation=organisation))
    secret = ""
    if request.method == "POST" and form.is_valid():
        _, secret = create_api_key(actor=actor_of(request), organisation=organisation, **form.cleaned_data)
        form = ApiKeyForm()
    keys = organisation.api_keys.select_related("created_by__membership").order_by(
        F("revoked_at").desc(nulls_first=True), "-created_at"
    )
    return render(request, "accounts/api_keys.html", {"form": form, "keys": keys, "secret": secret})


@for_roles(Role.PROVIDER)
@require_POST
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """End one of the clinic's keys."""
    key = get_object_or_404(organisation_of(request).api_keys, pk=key_id)
    revoke_api_key(actor=actor_of(request), key=key)
    messages.success(request, f"The key “{key.name}” was revoked. Software that uses it is refused from now on.")
    return redirect("accounts:api_keys")


@for_roles(Role.PROVIDER)
def organisation(request: HttpRequest) -> HttpResponse:
    """How the clinic releases results, how it is reached, and how long it keeps photos."""
    clinic = organisation_of(request)
    form = OrganisationForm(request.POST or None, instance=clinic)
    if request.method == "POST" and form.is_valid():
        if form.has_changed():
            change_settings(actor=actor_of(request), organisation=clinic, **form.changes)
        messages.success(request, "The settings were saved.")
        return redirect("accounts:organisation")
    join_url = request.build_absolute_uri(reverse("patient:join", args=[clinic.slug]))
    return render(request, "accounts/organisation.html", {"form": form, "organisation": clinic, "join_url": join_url})
