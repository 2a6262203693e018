"""A provider's batches: the list, one batch with its progress and its cases, and what can be done with it."""

import json
import uuid
from collections.abc import Callable
from functools import partial
from zlib import crc32

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_htmx.http import HTMX_STOP_POLLING

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.services import Actor, record_view
from webapp.cases import selectors
from webapp.cases.browser_files import upload_addresses, upload_place
from webapp.cases.intake import override_quality
from webapp.cases.left_out import MAX_LISTED
from webapp.cases.locks import locked
from webapp.cases.models import NOT_A_LESION, Archive, Batch, Image
from webapp.cases.opened import beside_rows, choices, listed
from webapp.cases.same_picture import in_use
from webapp.cases.services import NOT_ARRIVED, cancel_batch, submit_batch
from webapp.cases.uploads import await_replacement, complete_replacement, store_replacement
from webapp.cases.views.case import back
from webapp.errors import Problem
from webapp.inference.reruns import failed_count, newer_release, rerun_failed, rescore
from webapp.inference.selectors import Progress, progress
from webapp.pages.keyset import page_of
from webapp.pages.problems import telling
from webapp.pages.requests import asks_for_json
from webapp.pages.words import ADVICE, counted

PAGE = 50
REJECTED_SHOWN = 100
LEFT_OUT_SHOWN = 200
# What was done, which stays true above a list that goes on: the model may refuse it a moment later.
TAKEN = "{} was taken all the same. The model may still find no lesion in it."
INSISTED = "You have insisted on an answer about {}: do not rely on its numbers."
PUT_IN_PLACE = "Another file is here in the place of {}, and is being checked."


@for_roles(Role.PROVIDER)
@never_cache
def batches(request: HttpRequest) -> HttpResponse:
    """The organisation's batches, newest first."""
    rows = selectors.batches_of(organisation_of(request), request.GET.dict())
    page = page_of(rows, selectors.NEWEST_FIRST, after=request.GET.get("after", ""), size=PAGE)
    filtered = any(request.GET.get(name) for name in ("state", "source", "q"))
    context = {"page": page, "filtered": filtered, "states": Batch.State.choices, "sources": Batch.Source.choices}
    return render(request, "cases/batches.html", context)


@for_roles(Role.PROVIDER)
@never_cache
def batch(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """One batch: its progress, its cases, the most urgent first, and the images that were refused."""
    found = _own(request, batch_id)
    shown = _progress(found)  # before the rows: what changes in between, the next look at the progress brings
    opened = listed(request)
    cases = selectors.filter_cases(found.cases.all(), opened.filters)
    page = page_of(
        selectors.with_release(cases).prefetch_related(*selectors.for_stage(found)),
        selectors.MOST_URGENT_FIRST,
        after=request.GET.get("after", ""),
        size=PAGE,
    )
    record_view(actor=actor_of(request), action="batch.viewed", object_id=found.pk, organisation=found.organisation)
    complete = found.state in selectors.COMPLETED
    rejected = list(selectors.unusable_images(found)[:REJECTED_SHOWN])
    context = {
        **shown,
        "page": page,
        "opened": opened,
        "filtered": bool(opened.filters),
        **choices(),
        "newer": newer_release(found) if complete else None,
        **beside_rows(),
        "classes": selectors.classes_named(found).items(),
        "reviews": selectors.REVIEWS.items(),
        "rejected": rejected,
        "in_use": in_use(found, rejected),
        "awaited": selectors.awaited_images(found).order_by("-tries", "created_at", "pk")[:REJECTED_SHOWN],
        "late": selectors.late_images(found)[:REJECTED_SHOWN],
        "picture_limit": settings.UPLOAD_MAX_BYTES,
        "sent_to": json.dumps(upload_addresses(found)),
    }
    return render(request, "cases/batch.html", context)


@for_roles(Role.PROVIDER)
@never_cache
def batch_progress(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """How far the batch is: a part of its page, which asks for it again and again until the batch has ended, and
    nothing of it is at the model; 204 where that is what it has `seen`.
    """
    found = _own(request, batch_id)
    context = _progress(found)
    seen = request.GET.get("seen", "")
    if seen == context["stamp"]:
        return HttpResponse(status=204)
    record_view(actor=actor_of(request), action="batch.viewed", object_id=found.pk, organisation=found.organisation)
    response = render(request, "cases/_progress.html", context)
    if not seen.startswith(f"{context['buttons']}/{context['cases']}/"):
        same_buttons = seen.startswith(f"{context['buttons']}/")
        response["HX-Trigger"] = "batch-changed" if same_buttons else "batch-changed, actions-changed"
    if not context["renewed"]:
        response.status_code = HTMX_STOP_POLLING
    return response


def _progress(found: Batch) -> dict[str, object]:
    """What the progress part shows. `stamp` changes whenever anything of it does.

    It begins with `buttons`, which change only when they must, and `cases`, which change when their list may have.
    """
    state: Progress = progress(found)
    checking, missing = state.images[Image.State.STORED], sum(state.images[name] for name in NOT_ARRIVED)
    archive = Archive.objects.filter(batch=found).first()
    report = list(archive.report) if archive else []
    # The first line of a ZIP that was refused, or is kept until there is room, is about the whole.
    undone = archive is not None and archive.state != Archive.State.EXPANDED
    whole = report.pop(0)["message"] if report and undone else ""
    left_out = [*report, *found.left_out]
    failed = failed_count(found)
    buttons = f"{found.state}-{missing > 0}-{state.total > 0}-{len(left_out) > 0}-{whole != ''}-{failed}"
    cases = f"{state.total}-{state.done}-{checking}-{archive.state if archive else ''}"
    return {
        "batch": found,
        "progress": state,
        "failed": failed,
        "with_result": state.done - found.failures,
        "unanswered": found.cases.filter(answer=None, erased_at=None).count()
        if found.state == Batch.State.COMPLETED_WITH_FAILURES
        else 0,
        "renewed": found.finished_at is None or state.at_model > 0,
        "checking": checking,
        "missing": missing,
        "archive": archive,
        "about_archive": whole,
        "left_out": left_out,
        "left_out_shown": left_out[:LEFT_OUT_SHOWN],
        "unlisted": len(left_out) + bool(whole) >= MAX_LISTED,
        "advice_counts": [(code, state.advice[code]) for code in ADVICE],
        "answered": sum(state.advice.values()),
        "buttons": buttons,
        "cases": cases,
        "stamp": f"{buttons}/{cases}/{crc32(repr((state, found.failures)).encode()):x}",
        "tenth": state.percent // 10 * 10,
    }


@for_roles(Role.PROVIDER)
@require_POST
def submit(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Send a batch to the model."""
    found = _own(request, batch_id)
    with telling(request):
        submit_batch(actor=actor_of(request), batch=found, allow_missing="allow_missing" in request.POST)
    return redirect("cases:batch", batch_id)


@for_roles(Role.PROVIDER)
@require_POST
def cancel(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Stop a batch."""
    found = _own(request, batch_id)
    with telling(request):
        with transaction.atomic():
            awaited = locked(found.pk).remaining
            ended = cancel_batch(actor=actor_of(request), batch=found)
            state = progress(ended)
        if ended.state == Batch.State.CANCELLED:
            told = "The batch was cancelled."
            told += f" {counted(state.cancelled, 'image')} had not ended." if state.cancelled else ""
        elif stopped := awaited - ended.remaining:
            told = f"The second run was stopped for {counted(stopped, 'image')}."
        else:
            told = "No image of the second run waits any more, so there is nothing to stop."
        if state.at_model:
            told += f" What is at the model at this moment is still answered: {counted(state.at_model, 'image')}."
        messages.success(request, f"{told} Results that were there already remain.")
    return redirect("cases:batch", batch_id)


@for_roles(Role.PROVIDER)
@require_POST
def again(request: HttpRequest, batch_id: uuid.UUID, what: str) -> HttpResponse:
    """Try images once more: those that `failed`, at the model or at their check, or all for a `newer` release."""
    found = _own(request, batch_id)
    with telling(request):
        queue = {"failed": rerun_failed, "newer": rescore}[what]
        with transaction.atomic():
            before = locked(found.pk).remaining
            queued = queue(actor=actor_of(request), batch=found).remaining - before
        messages.success(request, f"{counted(queued, 'image')} {'is' if queued == 1 else 'are'} tried once more.")
    return redirect("cases:batch", batch_id)


@for_roles(Role.PROVIDER)
@require_POST
def override(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Use an image that the quality check refused, from the page of its batch or of its case."""
    image = _own_image(request, image_id)
    told = INSISTED if image.reason == NOT_A_LESION else TAKEN
    batch_page = _of_refused(request, image, override_quality, told=told)
    return back(request, image.case_id) if "from_case" in request.POST else batch_page


@for_roles(Role.PROVIDER)
@require_POST
def another_file(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Take another file in the place of one that was refused, whatever it is called: a phone names each anew. A script
    says its size and is told where it goes, and afterwards that it was `sent`. The refused one stays until then.
    """
    image = _own_image(request, image_id)
    if asks_for_json(request):
        return _place_for(request, image)
    put = partial(_put_in_place, request.FILES.get("file"), "sent" in request.POST)
    return _of_refused(request, image, put, told=PUT_IN_PLACE)


def _place_for(request: HttpRequest, image: Image) -> JsonResponse:
    said = request.POST.get("size", "")
    size = int(said) if said.isdecimal() else 0
    try:
        return JsonResponse({"places": [upload_place(await_replacement(image=image), size=size)]})
    except Problem as problem:
        return JsonResponse({"errors": [problem.message]}, status=problem.status)


def _put_in_place(file: UploadedFile | None, sent: bool, *, actor: Actor, image: Image) -> None:
    if sent:
        complete_replacement(actor=actor, image=image)
        return
    if file is None:
        raise Problem("no_file", "Choose the file to send.")
    store_replacement(actor=actor, image=image, file=file)


def _of_refused(request: HttpRequest, image: Image, change: Callable[..., object], *, told: str) -> HttpResponse:
    """Change what becomes of a refused image; `told` says so, with the file's name in its braces."""
    with telling(request):
        change(actor=actor_of(request), image=image)
        messages.success(request, told.format(image.filename))
    return redirect("cases:batch", image.batch_id)


def _own_image(request: HttpRequest, image_id: uuid.UUID) -> Image:
    images = Image.objects.select_related("organisation")
    return get_object_or_404(images, pk=image_id, organisation=organisation_of(request))


def _own(request: HttpRequest, batch_id: uuid.UUID) -> Batch:
    """A batch of the organisation; anybody else's is not there."""
    return get_object_or_404(
        Batch.objects.select_related("organisation", "created_by"), pk=batch_id, organisation=organisation_of(request)
    )
