"""The search for cases across batches. What is sought may be a person's name, so it comes in a form's body, and the
address has it encrypted: a browser keeps addresses, and so do logs.
"""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.services import record, record_views
from webapp.cases.opened import beside_rows
from webapp.cases.search import MAX_RESULTS, search_cases
from webapp.cases.selectors import words_in
from webapp.ciphers import seal, unseal

PURPOSE = b"lesionlens words that are sought"
LONGEST = 100  # of an id


@for_roles(Role.PROVIDER)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """The organisation's cases whose id, or whose patient's id, begins with what is sought."""
    if request.method == "POST":
        words = words_in(request.POST.dict())[:LONGEST]
        sealed = {"q": seal(PURPOSE, words)} if words else {}
        return redirect(f"{reverse('cases:find')}?{urlencode(sealed)}" if sealed else "cases:find")
    words, organisation = unseal(PURPOSE, request.GET.get("q", "")) or "", organisation_of(request)
    cases = search_cases(organisation, words)
    if words:
        actor, seen = actor_of(request), [case.pk for case in cases[:MAX_RESULTS]]
        record(actor=actor, action="case.listed", object_id="search", organisation=organisation)
        record_views(actor=actor, action="case.viewed", object_ids=seen, organisation=organisation)
    context = {
        "words": words,
        "longest": LONGEST,
        "cases": cases[:MAX_RESULTS],
        "more": len(cases) > MAX_RESULTS,
        **beside_rows(),
    }
    return render(request, "cases/find.html", context)
