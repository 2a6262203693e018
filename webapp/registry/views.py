"""The operator's pages: releases and their decisions, training runs, and where an answer comes from."""

import json
import uuid
from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HTMX_STOP_POLLING, HttpResponseClientRedirect

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.services import record
from webapp.errors import Problem
from webapp.inference.models import Result
from webapp.inference.selectors import workers_alive
from webapp.pages.problems import telling
from webapp.registry import in_service, selectors
from webapp.registry.card import model_card
from webapp.registry.chart import charts
from webapp.registry.models import ModelRelease, TrainingRun
from webapp.registry.selectors import active_release, gate_objection, previous_release, replaced_by
from webapp.registry.services import promote, reject, roll_back
from webapp.registry.training import outlook, start_run, stop_run
from webapp.registry.words import measured

State = ModelRelease.State


@for_roles(Role.OPERATOR)
@require_safe
def releases(request: HttpRequest) -> HttpResponse:
    """What answers now, what could, and what did."""
    everything = list(selectors.releases())
    active = next((release for release in everything if release.state == State.ACTIVE), None)
    return render(
        request,
        "registry/releases.html",
        {
            "active": active,
            "decision": selectors.decisions(active).first() if active else None,
            "metrics": measured(active.manifest) if active else [],
            "workers": workers_alive().filter(release=active) if active else [],
            "candidates": [release for release in everything if release.state == State.CANDIDATE],
            "earlier": [release for release in everything if release.state in (State.RETIRED, State.REJECTED)],
            "previous": previous_release(),
            "held": selectors.held_by(active) if active else None,
        },
    )


@for_roles(Role.OPERATOR)
@require_safe
def loaded_by(request: HttpRequest, pk: int) -> HttpResponse:
    """Which workers have a release: a part of the page, which asks until one has it, or another is active; 204 as long
    as it would ask again.
    """
    found = get_object_or_404(ModelRelease, pk=pk)
    workers = workers_alive().filter(release=found)
    if found.state == State.ACTIVE and not workers:
        return HttpResponse(status=204)
    return render(request, "registry/_loaded_by.html", {"active": found, "workers": workers}, status=HTMX_STOP_POLLING)


@for_roles(Role.OPERATOR)
@require_safe
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """One release: its card, its metrics, and all that it came from."""
    found = get_object_or_404(selectors.releases(), pk=pk)
    return render(
        request,
        "registry/release.html",
        {
            "release": found,
            "run": getattr(found, "training_run", None),
            "metrics": measured(found.manifest),
            "history": selectors.history(found),
            "decisions": selectors.decisions(found),
            "answered": selectors.answered(found),
            "card": model_card(found),
            "manifest": json.dumps(found.manifest, indent=2, ensure_ascii=False),
        },
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "POST"])
def promote_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then makes a release the active one; of one that is already, a page opened earlier asks in vain."""
    found = get_object_or_404(ModelRelease, pk=pk)
    if found.state == State.ACTIVE:
        messages.info(request, f"{found.name} is active already, so nothing was changed.")
        return redirect("models:releases")
    note = request.POST.get("note", "").strip()
    if request.method == "POST":
        try:
            promote(actor=actor_of(request), release=found, note=note, instead_of=request.POST.get("instead_of"))
        except Problem as problem:
            messages.error(request, problem.message)
        else:
            messages.success(request, f"{found.name} is active. Workers swap to it between two batches.")
            return redirect("models:releases")
    context = {
        "release": found,
        "active": active_release(),
        "back_to": replaced_by(found),
        "run": getattr(found, "training_run", None),
        "note": note,
        "note_needed": gate_objection(found) is not None,
    }
    return render(request, "registry/promote.html", context)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "POST"])
def reject_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then puts a candidate aside for good."""
    found = get_object_or_404(ModelRelease, pk=pk)
    if request.method == "POST":
        with telling(request):
            reject(actor=actor_of(request), release=found, note=request.POST.get("note", "").strip())
            messages.success(request, f"{found.name} was rejected.")
        return redirect("models:releases")
    return render(request, "registry/reject.html", {"release": found})


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "POST"])
def roll_back_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes a release active again if it is the one before the active one; asks first where no script has."""
    found = get_object_or_404(ModelRelease, pk=pk)
    if request.method == "POST" and request.POST.get("confirmed"):
        with telling(request):
            again = roll_back(actor=actor_of(request), to=found)
            messages.success(request, f"{again.name} is active again. Workers swap to it between two batches.")
        if request.headers.get("HX-Request"):
            return HttpResponseClientRedirect(reverse("models:releases"))
        return redirect("models:releases")
    active = active_release()
    context = {"active": active, "release": found, "held": selectors.held_by(active) if active else None}
    return render(request, "registry/roll_back.html", context)


@for_roles(Role.OPERATOR)
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Training runs, newest first, and what the next one would have to learn from and to be measured on."""
    everything, active = list(selectors.runs()[:50]), active_release()
    live = next((run for run in everything if run.state in TrainingRun.LIVE), None)
    context = {"runs": everything, "labels": selectors.accepted_labels(), "active": active, "live": live}
    if active and active.learns_from_labels and not live:
        objection, needs = outlook()
        context |= {"too_few": objection, "needs": needs, "decides": all(each.enough for each in needs)}
    return render(request, "registry/runs.html", context)


@for_roles(Role.OPERATOR)
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Starts a run now, however few the labels are."""
    try:
        started = start_run(actor=actor_of(request))
    except Problem as problem:
        messages.error(request, problem.message)
        return redirect("models:runs")
    return redirect("models:run", pk=started.pk)


@for_roles(Role.OPERATOR)
@require_POST
def stop(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ends a run that is not wanted any more."""
    with telling(request):
        stop_run(actor=actor_of(request), run=get_object_or_404(TrainingRun, pk=pk))
        messages.success(request, "The run was stopped. Another can be started.")
    return redirect("models:run", pk=pk)


@for_roles(Role.OPERATOR)
@require_safe
def run(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One training run, live while it works."""
    return render(request, "registry/run.html", _live(get_object_or_404(selectors.runs(), pk=pk)))


@for_roles(Role.OPERATOR)
@require_safe
def run_live(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the run's page that changes; 204 while it is as the browser has it already."""
    context = _live(get_object_or_404(selectors.runs(), pk=pk))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return render(request, "registry/_run_live.html", context)


def _live(found: TrainingRun) -> dict[str, object]:
    epochs = [event for event in found.progress if event["event"] == "epoch"]
    stages = [event for event in found.progress if event["event"] == "stage"]
    total = max(1, found.epochs * len(found.members))
    return {
        "run": found,
        "live": found.state in TrainingRun.LIVE,
        "stages": stages,
        "charts": charts(found.progress),
        "percent": min(100, round(100 * len(epochs) / total)),
        "seen": f"{found.state}-{found.attempt}-{len(found.progress)}",
    }


@for_roles(Role.OPERATOR)
@require_safe
def service(request: HttpRequest) -> HttpResponse:
    """How the model does in service. Counts only: no clinic's data."""
    context = {"weeks": in_service.weeks(), "advice": in_service.ADVICE, "beside": in_service.beside_dermatologists()}
    return render(request, "registry/service.html", context)


@for_roles(Role.OPERATOR, Role.PROVIDER)
@require_safe
def trace(request: HttpRequest) -> HttpResponse:
    """Where an answer comes from. Shows the model's side only: no finding, no case, no person."""
    query = request.GET.get("q", "").strip()
    is_operator = request.user.role == Role.OPERATOR  # type: ignore[union-attr]
    answers: Sequence[Result] = []
    if query:
        results = Result.objects.select_related("case__organisation")
        if not is_operator:
            results = results.filter(case__organisation=organisation_of(request))
        answers = selectors.answers_of(results, query)
        if not answers:
            messages.error(request, "No answer has this number, and no image or case with this id has been answered.")
        for answer in answers:
            record(
                actor=actor_of(request),
                action="result.traced",
                object_id=answer.pk,
                organisation=answer.case.organisation,
            )
    traces = [{"answer": answer, "history": selectors.history(answer.release)} for answer in answers]
    context = {"query": query, "traces": traces, "is_operator": is_operator}
    return render(request, "registry/trace.html", context, status=404 if query and not answers else 200)
