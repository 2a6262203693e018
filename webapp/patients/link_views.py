"""Reading a result by the link in an e-mail, without an account: its date of birth opens it for half an hour."""

import uuid
from datetime import timedelta

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.date_of_birth import DateOfBirthForm
from webapp.accounts.permissions import for_everyone
from webapp.cases.models import Case
from webapp.errors import Problem
from webapp.notify.links import find_link, open_link, renew_link, tries_left
from webapp.notify.models import ResultLink
from webapp.patients.result_views import photo_of, result_page
from webapp.patients.selectors import released_cases

LINK = "result_link"  # in the session: the link that was followed
OPENED = "result_opened"  # in the session: which case may be read, and until when
READING_TIME = timedelta(minutes=30)


@for_everyone
@never_cache
def arrive(request: HttpRequest, token: str) -> HttpResponse:
    """Follow a link from an e-mail. It always answers with a redirect to an address without the token.

    So the token is in no page's address, in no Referer, and in no log of a refused request.
    """
    link = find_link(token)
    if link is None:
        request.session.pop(LINK, None)
    else:
        request.session[LINK] = link.pk
    return redirect("patient:link_open")


@for_everyone
@never_cache
def open_(request: HttpRequest) -> HttpResponse:
    """Ask for the date of birth, and open the result to this session for half an hour."""
    link = _followed_link(request)
    if link is None:
        return _closed(request, "link_unknown", None, status=404)
    form = DateOfBirthForm(request.POST or None)
    try:
        if request.method == "POST" and form.is_valid():
            if open_link(link=link, date_of_birth=form.cleaned_data["date_of_birth"]):
                request.session.cycle_key()
                request.session[OPENED] = [str(link.case_id), (timezone.now() + READING_TIME).timestamp()]
                return redirect("patient:link_read", case_id=link.case_id)
            form.add_error(None, "That is not the date of birth that we have.")
        tries = tries_left(link=link)
    except Problem as problem:
        return _closed(request, problem.code, link, status=problem.status)
    return render(request, "patients/link.html", {"form": form, "tries": tries, "organisation": link.case.organisation})


@for_everyone
@require_POST
def renew(request: HttpRequest) -> HttpResponse:
    """Send a new link to the address that had the one that is too old."""
    link = _followed_link(request)
    if link is None or link.expires_at > timezone.now():
        raise Http404
    try:
        renew_link(case=link.case)
    except Problem as problem:
        messages.error(request, problem.message)
        return redirect("patient:link_open")
    return render(request, "patients/link_renewed.html", {"organisation": link.case.organisation})


@for_everyone
@never_cache
def read(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """The result, to a session that has opened its link."""
    case = _opened_case(request, case_id)
    if case is None:
        return redirect("patient:link_open")
    return result_page(request, case, image_route="patient:link_image", detail="by the link in an e-mail")


@for_everyone
@never_cache
def image(request: HttpRequest, case_id: uuid.UUID, image_id: uuid.UUID) -> FileResponse:
    """A photo of the case that this session has opened."""
    case = _opened_case(request, case_id)
    if case is None:
        raise Http404
    return photo_of(case, image_id)


def _followed_link(request: HttpRequest) -> ResultLink | None:
    rows = ResultLink.objects.select_related("case__organisation", "case__patient")
    return rows.filter(pk=request.session.get(LINK) or 0, case__in=released_cases()).first()


def _opened_case(request: HttpRequest, case_id: uuid.UUID) -> Case | None:
    """The case, if this session has opened it and may still read it. Raises Http404 for any other case."""
    opened, until = request.session.get(OPENED, (None, 0))
    if opened != str(case_id):
        raise Http404
    if until < timezone.now().timestamp():
        return None
    return get_object_or_404(released_cases().select_related("organisation"), pk=case_id)


def _closed(request: HttpRequest, why: str, link: ResultLink | None, *, status: int) -> HttpResponse:
    """A page that says why the link does not open, and what to do."""
    context = {"why": why, "organisation": link.case.organisation if link else None}
    return render(request, "patients/link_closed.html", context, status=status)
