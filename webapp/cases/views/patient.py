"""How the patient of a case is reached, which a provider adds or corrects, and what to do of a link that is locked."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.forms import PatientForm
from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.accounts.services import correct_own_patient
from webapp.audit.services import record_view
from webapp.cases.models import Case
from webapp.cases.opened import opened_from
from webapp.cases.views.case import back
from webapp.notify.links import acknowledge_lock, send_another_link
from webapp.notify.services import reason_not_notified
from webapp.pages.problems import telling


@for_roles(Role.PROVIDER)
@never_cache
def patient(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """What is known of a case's patient, and a form to correct it: all of it, or without the address of an account."""
    cases = Case.objects.filter(erased_at=None, organisation=organisation_of(request)).select_related("patient")
    found = get_object_or_404(cases, pk=case_id)
    known, actor = found.patient, actor_of(request)
    form = PatientForm(request.POST or None, instance=known)
    if known.chooses_address:
        del form.fields["email"]
    if request.method == "POST" and form.is_valid():
        with telling(request):
            if form.changes:
                correct_own_patient(actor=actor, patient=known, **form.changes)
                _say_what_follows(request, cases.get(pk=case_id))
            else:
                messages.info(request, "Nothing was changed.")
        return back(request, case_id)
    record_view(actor=actor, action="patient.viewed", object_id=known.pk, organisation=found.organisation)
    return render(request, "cases/patient.html", {"case": found, "form": form, "opened": opened_from(request)})


def _say_what_follows(request: HttpRequest, case: Case) -> None:
    reason = reason_not_notified(case=case) if case.released_at else None
    say = messages.warning if reason else messages.success
    say(request, "What is known of the patient was changed." + (f" {reason.message}" if reason else ""))


@for_roles(Role.PROVIDER)
@require_POST
def another_link(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Send another link to a patient who has locked theirs."""
    found = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request))
    with telling(request):
        send_another_link(actor=actor_of(request), case=found)
        messages.success(request, "Another link is on its way to the patient. The one before opens nothing any more.")
    return back(request, case_id)


@for_roles(Role.PROVIDER)
@require_POST
def lock_seen(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Say that one has told the patient, who cannot open the link."""
    found = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request))
    acknowledge_lock(actor=actor_of(request), case=found)
    messages.success(request, "This case no longer waits for you. The link in the letter stays locked.")
    return back(request, case_id)
