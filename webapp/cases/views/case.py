"""One case as a provider reads it: pictures, the model's answer, where that came from, its release, its erasure."""

import uuid
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.consent import choose_training
from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.models import Event
from webapp.audit.services import record
from webapp.cases import selectors
from webapp.cases.erasure import erase_case, erase_patient
from webapp.cases.manifest.fields import MAX_NOTES, FieldError, notes
from webapp.cases.models import Case, Image
from webapp.cases.opened import opened_from
from webapp.cases.opinions import CALLS_FOR, REVIEW_TURN
from webapp.cases.retention import delete_photos
from webapp.cases.review import acknowledge_raised, release_case
from webapp.cases.same_picture import in_use
from webapp.errors import Problem
from webapp.inference.models import Result
from webapp.inference.selectors import image_answer, with_answers
from webapp.labels.models import Consensus
from webapp.notify.services import LOCKED, letter_sent_at, reason_not_notified
from webapp.pages.keyset import neighbours
from webapp.pages.problems import telling
from webapp.pages.words import ONE_IMAGE
from webapp.registry.selectors import rolled_back

HISTORY = 20
AWAITED = ("waiting", *Image.UNENDED)  # the stages of a case that may still have a result


@for_roles(Role.PROVIDER)
@never_cache
def case(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """A case; its neighbours are those of the list that it was opened from."""
    return _page(request, case_id)


def _page(request: HttpRequest, case_id: uuid.UUID, *, note: str = "", status: int = 200) -> HttpResponse:
    """The page of a case; `note` is one that was not sent."""
    batch = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request)).batch
    cases = with_answers(batch.cases.annotate(review_turn=REVIEW_TURN))
    found = cases.select_related("organisation", "patient", "reviewed_by", "batch").get(pk=case_id)
    record(actor=actor_of(request), action="case.viewed", object_id=found.pk, organisation=found.organisation)
    images = list(found.images.all())
    seen_as = [str(row.pk) for row in (found, found.patient, *images)]
    events = Event.objects.filter(organisation=found.organisation, object_id__in=seen_as)
    history = events.select_related("user__membership", "api_key").order_by("-at", "-pk")[:HISTORY]
    opened = opened_from(request)
    if found.erased_at:
        return render(request, "cases/erased.html", {"case": found, "opened": opened, "history": history})
    listed = selectors.to_review(found.organisation) if opened.reviewing else batch.cases.filter(erased_at=None)
    order = selectors.IN_REVIEW if opened.reviewing else selectors.MOST_URGENT_FIRST
    previous, following = neighbours(selectors.filter_cases(listed, opened.filters), order, found)
    answers = {image: image_answer(image) for image in images}
    _fetch_heatmaps([answer for answer in answers.values() if answer])
    consensus = {row.image_id: row for row in Consensus.objects.filter(image__in=images)}
    others = [row for row in found.results.all() if row != found.answer]
    reason = reason_not_notified(case=found) if found.released_at else None
    context = {
        "case": found,
        "result": found.answer,
        "images": [(image, answer, consensus.get(image.pk)) for image, answer in answers.items()],
        "in_use": in_use(batch, images),
        "collapsed": any(
            answer and found.answer and answer.probabilities.keys() != found.answer.probabilities.keys()
            for answer in answers.values()
        ),
        "calls_for": CALLS_FOR.get(found.dissent),
        "rolled_back": found.answer is not None and found.answer.release_id in rolled_back(),
        "one_image": ONE_IMAGE,
        "others": others,
        "more_urgent": next((row for row in others if row.created_at == found.raised_at), None),
        "reason_not_notified": reason,
        "letter_sent_at": letter_sent_at(case=found) if found.released_at else None,
        "locked": LOCKED if found.link_locked_at or (reason and reason.code == "link_locked") else None,
        "awaited": selectors.stage(found) in AWAITED,
        "unseen": not found.answer and selectors.without_result(found.organisation).filter(pk=found.pk).exists(),
        "undeleted": sum(map(_may_exist, images)),
        "note": note,
        "max_notes": MAX_NOTES,
        "opened": opened,
        "previous": previous,
        "following": following,
        "history": history,
    }
    return render(request, "cases/case.html", context, status=status)


def _fetch_heatmaps(answers: list[Result]) -> None:
    """The heatmaps of these answers in one query: `with_answers` leaves them out, as lists show none."""
    heatmaps = dict(Result.objects.filter(pk__in=[answer.pk for answer in answers]).values_list("pk", "heatmap"))
    for answer in answers:
        answer.heatmap = heatmaps.get(answer.pk, b"")


@for_roles(Role.PROVIDER)
@require_POST
@never_cache
def release(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Give the result that was read to the patient, with a note. A refusal keeps the note."""
    found = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request))
    try:
        release_case(
            actor=actor_of(request),
            case=found,
            note=notes(request.POST.get("note")),
            answered_at=_moment(request.POST.get("result", "")),
            opinion=request.POST.get("opinion", ""),
        )
    except (Problem, FieldError) as problem:
        messages.error(request, problem.message)
        return _page(request, case_id, note=request.POST.get("note", ""), status=409)
    else:
        if reason := reason_not_notified(case=found):
            messages.warning(request, f"The result was released. {reason.message}")
        else:
            messages.success(request, "The result was released. The patient is told by e-mail.")
    return back(request, case_id)


@for_roles(Role.PROVIDER)
@require_POST
def looked_again(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Say that one has seen what is more urgent than the result that the patient of a case has."""
    found = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request))
    read, opinion = _moment(request.POST.get("raised_at", "")), request.POST.get("opinion", "")
    with telling(request):
        acknowledge_raised(actor=actor_of(request), case=found, raised_at=read, opinion=opinion)
        messages.success(request, "This case no longer waits for review. The patient’s result has not changed.")
    return back(request, case_id)


@for_roles(Role.PROVIDER)
@require_POST
def training_consent(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Say, for the patient of a case, whether models may learn from their photos."""
    found = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request))
    with telling(request):
        choose_training(actor=actor_of(request), patient=found.patient, agreed="agreed" in request.POST)
        messages.success(request, "What you said of this patient’s photos was kept.")
    return back(request, case_id)


@for_roles(Role.PROVIDER)
@require_POST
def delete(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Delete the photos of a case."""
    found = get_object_or_404(Case, pk=case_id, organisation=organisation_of(request))
    delete_photos(actor=actor_of(request), case=found)
    messages.success(request, "The photos of this case were deleted.")
    return back(request, case_id)


@for_roles(Role.PROVIDER)
@never_cache
def erase(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Say what goes with a case and what stays, and erase it, or everything of its patient."""
    cases = Case.objects.select_related("patient", "batch")
    found = get_object_or_404(cases, pk=case_id, organisation=organisation_of(request))
    if request.method == "POST":
        with telling(request):
            if "everything" in request.POST and found.erased_at is None:
                erase_patient(actor=actor_of(request), patient=found.patient)
                messages.success(request, "Everything of this patient was erased.")
            else:
                erase_case(actor=actor_of(request), case=found)
                messages.success(request, "This case was erased.")
    elif found.erased_at is None:
        photos = sum(map(_may_exist, found.images.all()))
        others = found.patient.cases.filter(erased_at=None).exclude(pk=found.pk).count()
        more = selectors.has_more(found.patient, found)
        context = {"case": found, "opened": opened_from(request), "photos": photos, "more": more, "others": others}
        return render(request, "cases/erase.html", context)
    return back(request, case_id)


def _may_exist(image: Image) -> bool:
    """Whether a photo is stored, or may come. What a cancelling dropped before it was checked is kept for a while."""
    never_came = image.state == Image.State.EXPIRED and image.reason != "cancelled"
    return not never_came and image.state != Image.State.PURGED


def _moment(written: str) -> datetime | None:
    """The moment of a hidden field, which nobody types."""
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def back(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """To the case's page, as it was opened."""
    return redirect(reverse("cases:case", args=[case_id]) + opened_from(request).query)
