"""The patient's pages: my photos and results, a new photo, one case from its upload to its result or its deletion."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.consent import choose_training
from webapp.accounts.models import User
from webapp.accounts.permissions import actor_of, for_roles
from webapp.cases.models import Batch, Case
from webapp.cases.retention import delete_photos
from webapp.errors import Problem
from webapp.pages.requests import asks_for_json
from webapp.patients import words
from webapp.patients.forms import PhotoForm
from webapp.patients.photos import BODY_SITES, MAX_PHOTOS, send_photos
from webapp.patients.result_views import photo_of, result_page
from webapp.patients.selectors import (
    Stage,
    cases_of,
    photos_to_delete,
    photos_to_show,
    progress_of,
    sent_again,
    stage_of,
)


@for_roles("patient")
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """My photos and results."""
    user = _user(request)
    rows = [
        (each, photos_to_show(each)[:1], BODY_SITES.get(each.anatom_site, ""), progress_of(each))
        for each in cases_of(user)
    ]
    patients = list(user.patients.select_related("organisation").order_by("organisation__name"))
    return render(request, "patients/home.html", {"rows": rows, "patients": patients, "words": words})


@for_roles("patient")
@require_POST
def training(request: HttpRequest, patient_id: uuid.UUID) -> HttpResponse:
    """Say whether models may learn from the photos that one clinic has of oneself."""
    patient = get_object_or_404(_user(request).patients, pk=patient_id)
    agreed = "agreed" in request.POST
    choose_training(actor=actor_of(request), patient=patient, agreed=agreed)
    messages.success(request, words.MAY_LEARN if agreed else words.MAY_NOT_LEARN)
    return redirect("patient:home")


@for_roles("patient")
@never_cache
def photo(request: HttpRequest, case_id: uuid.UUID | None = None) -> HttpResponse:
    """Take a photo of a spot, or choose up to three, and send them. A script asks for JSON, to show the upload.

    Of the spot of an earlier case, what was said then stands in the form. Who comes from a clinic's door (`?clinic=`
    and its slug) has that clinic chosen.
    """
    patients = _user(request).patients.select_related("organisation").order_by("organisation__name")
    if not patients:
        return redirect("patient:home")
    sent = cases_of(_user(request)).filter(source=Batch.Source.PATIENT)  # a clinic's notes are its own
    earlier = get_object_or_404(sent, pk=case_id) if case_id else None
    door = request.GET.get("clinic")
    chosen = [patient for patient in patients if patient.organisation.slug == door]
    said: dict[str, Any] = {"clinic": chosen[0]} if chosen else {}
    if earlier:
        said = {"clinic": earlier.patient_id, "anatom_site": earlier.anatom_site, "notes": earlier.notes}
    form = PhotoForm(request.POST or None, request.FILES or None, patients=patients, initial=said)
    if request.method == "POST" and form.is_valid():
        try:
            case = send_photos(
                actor=actor_of(request),
                patient=form.cleaned_data["clinic"],
                key=str(form.cleaned_data["key"]),
                photos=form.cleaned_data["photos"],
                anatom_site=form.cleaned_data["anatom_site"],
                notes=form.cleaned_data["notes"],
                earlier=earlier,
            )
        except Problem as problem:
            form.add_error(None, problem.message)
        else:
            address = reverse("patient:case", args=[case.pk])
            return JsonResponse({"next": address}) if asks_for_json(request) else redirect(address)
    if form.errors and asks_for_json(request):
        wrong = [(error, name) for name, errors in form.errors.items() for error in errors]
        fields = [form[name].auto_id if name in form.fields else "" for _, name in wrong]
        answer = {"errors": [error for error, _ in wrong], "fields": fields}  # of each, the id of its field
        return JsonResponse(answer, status=422)
    return render(
        request, "patients/photo.html", {"form": form, "max_photos": MAX_PHOTOS, "words": words, "earlier": earlier}
    )


@for_roles("patient")
@never_cache
def case(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """One case: how far it has come, then its result.

    With `?seen=<stage>` it says how far only where that has changed, and leads to the result: a page in use is no other
    page all at once.
    """
    found = _own(request, case_id)
    stage = stage_of(found)
    seen = request.GET.get("seen")
    if seen == stage:
        return HttpResponse(status=204)
    if stage == Stage.READY and not seen:
        return result_page(request, found, image_route="patient:image")
    context = {
        "case": found,
        "stage": stage,
        "progress": progress_of(found),
        "images": found.images.all(),
        "shown": photos_to_show(found),
        "words": words,
        "to_delete": photos_to_delete(found),
        "again": sent_again(found),
    }
    return render(request, "patients/progress.html", context)


@for_roles("patient")
@require_POST
def delete(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    """Delete the photos of a case that one has sent oneself."""
    found = _own(request, case_id)
    if photos := photos_to_delete(found):  # a second press finds them deleted
        delete_photos(actor=actor_of(request), case=found)
        messages.success(request, f"Your photo{'s were' if photos > 1 else ' was'} deleted for good.")
    return redirect("patient:case", case_id)


@for_roles("patient")
@never_cache
def image(request: HttpRequest, case_id: uuid.UUID, image_id: uuid.UUID, kind: str) -> HttpResponseBase:
    """A photo of one's own case, `clean` as the model was given it, or as a `thumbnail`."""
    return photo_of(request, _own(request, case_id), image_id, kind)


def _own(request: HttpRequest, case_id: uuid.UUID) -> Case:
    return get_object_or_404(cases_of(_user(request)), pk=case_id)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - `for_roles` lets nobody else in
    return request.user
