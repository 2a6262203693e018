"""A provider makes a batch of files from their machine."""

import json
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.cases.fields import FieldError, filename
from webapp.cases.forms import BatchForm, CaseForm
from webapp.cases.manifest import MAX_CSV_BYTES, RowError, from_csv
from webapp.cases.models import Batch
from webapp.cases.services import CaseSpec
from webapp.cases.web_upload import one_case_each, open_batch, take_archive, take_files, with_files_of
from webapp.errors import Problem
from webapp.pages.requests import asks_for_json

SHOWN_NAMES = 20


@dataclass
class Chosen:
    """The files of a request by what they are. A script sends only the names first, and the pictures afterwards."""

    pictures: list[UploadedFile] = field(default_factory=list)
    tables: list[UploadedFile] = field(default_factory=list)
    archives: list[UploadedFile] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def chosen_files(request: HttpRequest) -> Chosen:
    """Sorts the uploaded files by the ending of their names; what they really are is found out by intake."""
    chosen = Chosen()
    for file in request.FILES.getlist("files"):
        ending = (file.name or "").lower().rpartition(".")[2]
        {"csv": chosen.tables, "zip": chosen.archives}.get(ending, chosen.pictures).append(file)
    chosen.names = [file.name or "" for file in chosen.pictures] + _announced(request.POST.get("names", ""))
    return chosen


def _announced(names: str) -> list[str]:
    """The names, as a JSON list, of the pictures that a script will send one by one."""
    try:
        listed = json.loads(names or "[]")
        return [filename(name) for name in listed] if isinstance(listed, list) else []
    except (ValueError, FieldError):
        return []


@for_roles(Role.PROVIDER)
def batch_new(request: HttpRequest) -> HttpResponse:
    """Choose files, with a table or the details of one case, and upload them."""
    form, case_form = BatchForm(request.POST or None), CaseForm()
    row_errors: list[RowError] = []
    if request.method == "POST" and form.is_valid():
        chosen = chosen_files(request)
        cases: list[CaseSpec] | None = None
        unlisted: list[str] = []
        if problem := _problem_of(chosen, form.cleaned_data["grouping"]):
            form.add_error(None, problem)
        elif chosen.archives:
            cases = []
        elif form.cleaned_data["grouping"] == BatchForm.ONE:
            case_form = CaseForm(request.POST)
            spec = case_form.spec(chosen.names, capture=form.cleaned_data["capture"])
            cases = [spec] if spec else None
        elif chosen.tables:
            manifest = from_csv(chosen.tables[0].read(MAX_CSV_BYTES + 1), capture=form.cleaned_data["capture"])
            row_errors = manifest.errors
            if not row_errors:
                cases, unlisted = with_files_of(manifest.cases, chosen.names)
        else:
            cases = one_case_each(chosen.names, capture=form.cleaned_data["capture"])
        if cases is not None:
            try:
                return _made(request, form.cleaned_data["name"], cases, chosen, unlisted)
            except Problem as refused:
                form.add_error(None, refused.message)
    wrong = request.method == "POST"
    if wrong and asks_for_json(request):
        return JsonResponse({"errors": _sentences(form, case_form, row_errors)}, status=422)
    context = {"form": form, "case_form": case_form, "row_errors": row_errors[:200], "row_error_count": len(row_errors)}
    return render(request, "cases/batch_new.html", context, status=422 if wrong else 200)


def _problem_of(chosen: Chosen, grouping: str) -> str:
    """What is wrong with this choice of files, in a sentence; empty if nothing is."""
    limit = settings.IMPORT_MAX_BYTES
    one = grouping == BatchForm.ONE
    each = "Choose “Each file is a case of its own” with it."
    problems = {
        "Choose one ZIP file or single pictures, not both.": chosen.archives
        and len(chosen.archives) + bool(chosen.names) > 1,
        f"A ZIP file is for many cases. {each}": one and chosen.archives,
        f"The ZIP file is larger than {limit // 1024**2} MB. Split it into several.": any(
            (file.size or 0) > limit for file in chosen.archives
        ),
        "Choose one CSV table at most.": len(chosen.tables) > 1,
        f"A CSV table describes its cases itself. {each}": one and chosen.tables,
        "Choose at least one picture.": not (chosen.names or chosen.tables or chosen.archives),
    }
    return next((sentence for sentence, holds in problems.items() if holds), "")


def _made(request: HttpRequest, name: str, cases: list[CaseSpec], chosen: Chosen, unlisted: list[str]) -> HttpResponse:
    actor = actor_of(request)
    batch = open_batch(actor=actor, organisation=organisation_of(request), name=name, cases=cases)
    if chosen.archives:
        table = chosen.tables[0].read(MAX_CSV_BYTES + 1) if chosen.tables else None
        take_archive(actor=actor, batch=batch, file=chosen.archives[0], table=table, capture=request.POST["capture"])
    _say_left_out(request, "The table does not name", unlisted)
    if asks_for_json(request):
        return JsonResponse(
            {"batch": reverse("cases:batch", args=[batch.pk]), "files": reverse("cases:batch_files", args=[batch.pk])}
        )
    listed = [file for file in chosen.pictures if file.name not in set(unlisted)]
    take_files(batch=batch, files=listed)
    return redirect("cases:batch", batch.pk)


@for_roles(Role.PROVIDER)
@require_POST
def batch_files(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Take files for the images of an open batch that have not arrived, matched by name."""
    batch = get_object_or_404(Batch, pk=batch_id, organisation=organisation_of(request))
    try:
        taken = take_files(batch=batch, files=request.FILES.getlist("files"))
    except Problem as problem:
        if asks_for_json(request):
            return JsonResponse({"errors": [problem.message]}, status=problem.status)
        messages.error(request, problem.message)
        return redirect("cases:batch", batch.pk)
    if asks_for_json(request):
        return JsonResponse({"stored": taken.stored, "unknown": taken.unknown})
    if taken.stored:
        messages.success(request, f"{taken.stored} files have arrived.")
    _say_left_out(request, "No image of this batch waits for", taken.unknown)
    return redirect("cases:batch", batch.pk)


def _say_left_out(request: HttpRequest, reason: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(names[:SHOWN_NAMES]) + (" and others" if len(names) > SHOWN_NAMES else "")
        messages.warning(request, f"{reason} {len(names)} of the files, so they were left out: {shown}.")


def _sentences(form: BatchForm, case_form: CaseForm, row_errors: list[RowError]) -> list[str]:
    """Every mistake as one sentence that says where it is."""
    sentences = [
        f"{source.fields[name].label or name.replace('_', ' ').capitalize()}: {error}"
        if name in source.fields
        else str(error)
        for source in (form, case_form)
        for name, errors in source.errors.items()
        for error in errors
    ]
    return sentences + [f"Row {error.row}, {error.field or 'row'}: {error.message}" for error in row_errors[:200]]
