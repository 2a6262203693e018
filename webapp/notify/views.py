"""The clinic's messages that have not gone out."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.services import record
from webapp.notify import delivery
from webapp.notify.models import Message
from webapp.pages.keyset import page_of
from webapp.pages.problems import telling


@for_roles(Role.PROVIDER, Role.OPERATOR)
@never_cache
def failed_messages(request: HttpRequest) -> HttpResponse:
    """The organisation's messages that have not gone out, and why."""
    organisation = organisation_of(request)
    rows = Message.objects.filter(batch__organisation=organisation, state=Message.State.FAILED)
    record(actor=actor_of(request), action="message.listed", object_id="-", organisation=organisation)
    page = page_of(rows.select_related("batch", "case"), ["-pk"], after=request.GET.get("after", ""))
    return render(request, "notify/messages.html", {"page": page})


@for_roles(Role.PROVIDER, Role.OPERATOR)
@require_POST
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a failed message again, by hand."""
    message = get_object_or_404(Message, pk=pk, batch__organisation=organisation_of(request))
    with telling(request):
        delivery.send_again(actor=actor_of(request), message=message)
        messages.success(request, "The message will be sent again.")
    return redirect("notify:messages")
