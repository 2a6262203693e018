"""What waits for a provider: every result that nobody has released, of all batches: where dermatologists see more than
the model, then the most urgent first.
"""

import uuid

from django.contrib import messages
from django.db.models import F, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.services import record
from webapp.cases import selectors
from webapp.cases.models import Batch
from webapp.cases.opened import beside_rows, choices, listed
from webapp.cases.retakes import RETAKE_WINDOW
from webapp.cases.review import acknowledge_without_result
from webapp.inference.models import CaseResult
from webapp.pages.keyset import page_of
from webapp.pages.words import counted
from webapp.registry.selectors import classes_of_releases

PAGE = 50


@for_roles(Role.PROVIDER)
@never_cache
def to_review(request: HttpRequest) -> HttpResponse:
    """The organisation's cases to review, under the filters that the address carries."""
    organisation = organisation_of(request)
    opened = listed(request, reviewing=True)
    cases = selectors.filter_cases(selectors.to_review(organisation), opened.filters)
    page = page_of(
        selectors.with_release(cases).prefetch_related("images"),
        selectors.IN_REVIEW,
        after=request.GET.get("after", ""),
        size=PAGE,
    )
    more_urgent = Prefetch("results", CaseResult.objects.filter(created_at=F("case__raised_at")), to_attr="more_urgent")
    again = selectors.waiting_again(organisation).select_related("patient", "batch")
    found = [] if opened.filters else list(again.prefetch_related("images", more_urgent)[: PAGE + 1])
    locked = [case for case in found[:PAGE] if not case.raised_at]
    ended = selectors.unanswered_first(organisation).select_related("patient", "batch").prefetch_related("images")
    without = [] if opened.filters else list(ended[: PAGE + 1])
    awaiting_photo = [case for case in without[:PAGE] if case.awaiting_photo]
    record(actor=actor_of(request), action="case.listed", object_id="to review", organisation=organisation)
    context = {
        "page": page,
        "opened": opened,
        "filtered": bool(opened.filters),
        "raised": [case for case in found[:PAGE] if case.raised_at],
        "more_raised": len(found) > PAGE and not locked,
        "locked": locked,
        "more_locked": len(found) > PAGE,
        "unanswered": [case for case in without[:PAGE] if not case.awaiting_photo],
        "more_unanswered": len(without) > PAGE and not awaiting_photo,
        "awaiting_photo": awaiting_photo,
        "more_awaiting_photo": len(without) > PAGE,
        "fair_days": RETAKE_WINDOW.days,
        **beside_rows(),
        "sources": Batch.Source.choices,
        **choices(),
        "classes": classes_of_releases().items(),
    }
    return render(request, "cases/review.html", context)


@for_roles(Role.PROVIDER)
@require_POST
def seen_to(request: HttpRequest) -> HttpResponse:
    """Say that one has seen to cases that ended without a result."""
    named = [case_id for each in request.POST.getlist("case") if (case_id := _id(each))]
    if seen := acknowledge_without_result(actor=actor_of(request), organisation=organisation_of(request), cases=named):
        messages.success(
            request, f"{counted(seen, 'case')} without a result no longer wait{'s' if seen == 1 else ''} here."
        )
    else:
        messages.info(request, "Nothing was changed: somebody has seen to it before, or it is at the model again.")
    return redirect("cases:to_review")


def _id(written: str) -> uuid.UUID | None:
    """The id of a button, which nobody types."""
    try:
        return uuid.UUID(written)
    except ValueError:
        return None
