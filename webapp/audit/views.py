"""The audit trail, to read."""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from webapp.accounts.models import User
from webapp.accounts.permissions import Role, for_roles
from webapp.audit.forms import EventFilter
from webapp.audit.selectors import events_for, filter_events
from webapp.pages.keyset import page_of


@for_roles(Role.PROVIDER, Role.OPERATOR)
@never_cache
@require_GET
def events(request: HttpRequest) -> HttpResponse:
    """Who viewed or changed what in one's organisation; for operators also in the model registry."""
    membership = cast(User, request.user).membership
    form = EventFilter(request.GET, organisation=membership.organisation)
    wanted = form.cleaned_data if form.is_valid() else {}
    found = filter_events(events_for(membership), organisation=membership.organisation, wanted=wanted)
    page = page_of(found, ["-at", "-pk"], after=request.GET.get("after", ""))
    context = {
        "page": page,
        "form": form,
        "filtered": any(wanted.values()),
        "organisation": membership.organisation,
    }
    return render(request, "audit/events.html", context)
