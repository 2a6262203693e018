"""Reading a result by the link in an e-mail, without an account: its date of birth opens it for half an hour."""

import uuid
from datetime import timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
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

LINKS = "result_links"  # in the session: by case, the link to it that was followed last
OPENED = "results_opened"  # in the session: by case, until when it may be read
READING_TIME = timedelta(minutes=30)
BY_LINK = "by the link in an e-mail"
WRONG_DATE = "That is not the date of birth that we have."


@for_everyone
@never_cache
def arrive(request: HttpRequest, token: str) -> HttpResponse:
    """Follow a link from an e-mail. It always answers with a redirect to an address without the token.

    So the token is in no page's address, in no Referer, and in no log of a refused request.
    """
    link = find_link(token)
    if link is None:
        return redirect("patient:link_unknown")
    case_id = str(link.case_id)
    request.session[LINKS] = {**request.session.get(LINKS, {}), case_id: link.pk}
    return redirect("patient:link_open", case_id)


@for_everyone
@never_cache
def unknown(request: HttpRequest) -> HttpResponse:
    """Where a link leads that never was."""
    return _closed(request, "link_unknown", None, status=404)


@for_everyone
@never_cache
def open_(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Ask for the date of birth, and open the result to this session for half an hour.

    The address names the case, so that of two links in one browser each opens its own. A wrong date leads back here: a
    page that answered it would send it again where somebody goes back to it, and that costs a try.
    """
    link = _followed_link(request, case_id)
    if link is None:
        return _closed(request, "link_unknown", None, status=404)
    form = DateOfBirthForm(request.POST or None)
    try:
        if request.method == "POST" and form.is_valid():
            if open_link(link=link, date_of_birth=form.cleaned_data["date_of_birth"]):
                request.session.cycle_key()
                until = (timezone.now() + READING_TIME).timestamp()
                request.session[OPENED] = {**request.session.get(OPENED, {}), str(case_id): until}
                return redirect("patient:link_read", case_id)
            messages.error(request, f"{WRONG_DATE} {_in_words(tries_left(link=link))}")
            return redirect("patient:link_open", case_id)
        tries = _in_words(tries_left(link=link))
    except Problem as problem:
        return _closed(request, problem.code, link, status=problem.status)
    return render(request, "patients/link.html", {"form": form, "tries": tries, "organisation": link.case.organisation})


@for_everyone
@require_POST
def renew(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Send a new link to the address that had the one that is too old."""
    link = _followed_link(request, case_id)
    if link is None or link.expires_at > timezone.now():
        raise Http404
    try:
        renew_link(case=link.case)
    except Problem as problem:
        messages.error(request, problem.message)
        return redirect("patient:link_open", case_id)
    return render(request, "patients/link_renewed.html", {"organisation": link.case.organisation})


@for_everyone
@never_cache
def read(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """The result, to a session that has opened its link."""
    case = _opened_case(request, case_id)
    if case is None:
        return redirect("patient:link_open", case_id)
    return result_page(request, case, image_route="patient:link_image", detail=BY_LINK)


@for_everyone
@never_cache
def image(request: HttpRequest, case_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponseBase:
    """A photo of the case that this session has opened."""
    case = _opened_case(request, case_id)
    if case is None:
        raise Http404
    return photo_of(request, case, image_id, how=BY_LINK)


def _in_words(tries: int) -> str:
    return f"You can try {'once' if tries == 1 else f'{tries} times'}. After that the link is locked."


def _followed_link(request: HttpRequest, case_id: uuid.UUID) -> ResultLink | None:
    followed = request.session.get(LINKS, {}).get(str(case_id))
    rows = ResultLink.objects.select_related("case__organisation", "case__patient")
    return rows.filter(pk=followed or 0, case_id=case_id, case__in=released_cases()).first()


def _opened_case(request: HttpRequest, case_id: uuid.UUID) -> Case | None:
    """The case, if this session has opened it and may still read it: not once its link was taken back."""
    if request.session.get(OPENED, {}).get(str(case_id), 0) < timezone.now().timestamp():
        return None
    link = _followed_link(request, case_id)
    return link.case if link else None


def _closed(request: HttpRequest, why: str, link: ResultLink | None, *, status: int) -> HttpResponse:
    """A page that says why the link does not open, and what to do."""
    context = {
        "why": why,
        "organisation": link.case.organisation if link else None,
        "case_id": link.case_id if link else None,
    }
    return render(request, "patients/link_closed.html", context, status=status)
