"""The annotator's pages: one image at a time, what they have said, and what they could not agree on."""

import uuid
from typing import cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from ml.classes import CLASSES
from webapp.accounts.models import User
from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.audit.services import record, record_view
from webapp.cases.models import Image
from webapp.errors import Problem
from webapp.labels import selectors, services
from webapp.labels.forms import HistoryFilter, LabelForm, SettleForm
from webapp.labels.models import LABEL_CHOICES, Label
from webapp.pages.keyset import page_of


@for_roles(Role.ANNOTATOR)
@never_cache
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """The next image, blind to the model's answer; and the last answer, which can be taken back or compared."""
    return _queue_page(request, LabelForm())


@for_roles(Role.ANNOTATOR)
@require_POST
def answer(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Take an answer, then show the next image."""
    image = get_object_or_404(Image, pk=image_id, organisation=organisation_of(request))
    form = LabelForm(request.POST)
    if not form.is_valid():
        return _queue_page(request, form, status=422)
    try:
        services.submit_label(actor=actor_of(request), annotator=_user(request), image=image, **form.cleaned_data)
    except Problem as problem:
        messages.warning(request, problem.message)
    return redirect("labels:queue")


def _queue_page(request: HttpRequest, form: LabelForm, *, status: int = 200) -> HttpResponse:
    annotator, organisation = _user(request), organisation_of(request)
    image = services.next_image(actor=actor_of(request), annotator=annotator)
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    last = selectors.last_given(annotator)
    if last and last.result:
        seen, action = last.label.image_id, "label.model_answer_viewed"
        record_view(actor=actor_of(request), action=action, object_id=seen, organisation=organisation)
    context = {
        "image": image,
        "form": form,
        "answers": [(number, code, name) for number, (code, name) in enumerate(LABEL_CHOICES, start=1)],
        "confidences": [(c.label[0].lower(), c.value, c.label) for c in Label.Confidence],
        "chosen_confidence": form.data.get("confidence", str(Label.Confidence.MEDIUM.value)),
        "last": last,
        "done": selectors.done_since(annotator=annotator, since=today),
        "counted": selectors.COUNTED,
        "left": selectors.left_in_queue(organisation=organisation, annotator=annotator),
        "alone": selectors.annotators(organisation).count() < selectors.ENOUGH,
    }
    return render(request, "labels/queue.html", context, status=status)


@for_roles(Role.ANNOTATOR)
@require_POST
def undo(request: HttpRequest, label_id: int) -> HttpResponse:
    """Take an answer back; its image is shown again."""
    label = selectors.labels_of(_user(request)).filter(pk=label_id).first()
    if label is not None:  # a second press finds it gone
        try:
            services.undo(actor=actor_of(request), label=label)
            was = f"{label.get_dx_display()}, {label.get_confidence_display().lower()} confidence"
            messages.info(request, f"Your answer ({was}) was taken back. Here is the image again.")
        except Problem as problem:
            messages.warning(request, problem.message)
    return redirect("labels:queue")


@for_roles(Role.ANNOTATOR)
@require_POST
def compare(request: HttpRequest, label_id: int) -> HttpResponse:
    """Show the model's answer beside the last one given, which is final from then on."""
    label = get_object_or_404(selectors.labels_of(_user(request)), pk=label_id)
    services.compare(actor=actor_of(request), label=label)
    return redirect("labels:queue")


@for_roles(Role.ANNOTATOR)
@never_cache
@require_GET
def mine(request: HttpRequest) -> HttpResponse:
    """What the annotator has said, newest first, with filters in the address."""
    form = HistoryFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    labels = _filtered(selectors.labels_of(_user(request)), chosen)
    page = page_of(labels, ["-pk"], after=request.GET.get("after", ""))
    organisation = organisation_of(request)
    alone = selectors.annotators(organisation).count() < selectors.ENOUGH
    record(actor=actor_of(request), action="label.own_viewed", object_id="-", organisation=organisation)
    context = {"page": page, "form": form, "filtered": any(chosen.values()), "alone": alone}
    return render(request, "labels/mine.html", context)


def _filtered(labels: "QuerySet[Label]", chosen: dict[str, str]) -> "QuerySet[Label]":
    if chosen.get("dx"):
        labels = labels.filter(dx=chosen["dx"])
    if chosen.get("state"):
        labels = labels.filter(state=chosen["state"])
    if chosen.get("model"):
        labels = selectors.compared_with_model(labels, agrees=chosen["model"] == "agrees")
    return labels


@for_roles(Role.ANNOTATOR)
@never_cache
@require_GET
def disagreements(request: HttpRequest) -> HttpResponse:
    """Images of the annotator's organisation on which annotators disagree and nobody is left to ask."""
    organisation = organisation_of(request)
    page = page_of(selectors.disagreements(organisation), ["created_at", "pk"], after=request.GET.get("after", ""))
    record(actor=actor_of(request), action="label.disagreements_viewed", object_id="-", organisation=organisation)
    return render(request, "labels/disagreements.html", {"page": page, "answers": LABEL_CHOICES})


@for_roles(Role.ANNOTATOR)
@require_POST
def settle(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Settle a disagreement as those who answered see it after they have talked it over."""
    image = get_object_or_404(Image, pk=image_id, organisation=organisation_of(request))
    form = SettleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the nine answers, then settle it.")
        return redirect("labels:disagreements")
    try:
        services.settle_disagreement(
            actor=actor_of(request), annotator=_user(request), image=image, dx=form.cleaned_data["dx"]
        )
    except Problem as problem:
        messages.warning(request, problem.message)
    else:
        learnt = ", and the image is one to learn from" if form.cleaned_data["dx"] in CLASSES else ""
        messages.success(request, f"The disagreement is settled{learnt}.")
    return redirect("labels:disagreements")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
