"""A provider makes a batch of files from their browser, and sends those that have not arrived."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from webapp.accounts.permissions import Role, actor_of, for_roles, organisation_of
from webapp.api.parsers import a_turn
from webapp.cases.api.chosen_manifest import read_manifest
from webapp.cases.browser_files import (
    ambiguous_names,
    match_names,
    one_case_each,
    store_archive,
    store_files,
    upload_addresses,
    upload_place,
    with_files_of,
)
from webapp.cases.chosen import (
    NOTHING_CHOSEN,
    RENAME,
    UNNAMEABLE,
    Chosen,
    announced,
    as_filename,
    chosen_files,
    problem_of,
    shown,
)
from webapp.cases.forms import BatchForm, CaseForm
from webapp.cases.left_out import NO_PICTURE, line, showable
from webapp.cases.manifest.filenames import NO_PICTURES, is_no_picture
from webapp.cases.manifest.mistakes import RowError, RowsRefused, error_table, sentences
from webapp.cases.manifest.reading import MAX_CSV_BYTES, Manifest
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch
from webapp.cases.quotas import usage
from webapp.cases.services import Submission, create_batch
from webapp.cases.upload_limits import awaits_archive
from webapp.errors import Problem
from webapp.pages.requests import asks_for_json

OLD_PAGE = "This page is older than the site. Reload it, and send again."
UNLISTED = "No row of the table names this file, so it was left out. Add a row for it, and put both in a new batch."


@for_roles(Role.PROVIDER)
def batch_new(request: HttpRequest) -> HttpResponse:
    """Choose files, with a table or the details of one case, and upload them."""
    form, case_form = BatchForm(request.POST or None), CaseForm()
    row_errors: Sequence[RowError] = []
    status, headers = 422, dict[str, str]()
    if request.method == "POST" and form.is_valid():
        chosen = chosen_files(request)
        cases: list[CaseSpec] | None = None
        left_out = chosen.beside
        try:
            if problem := problem_of(chosen, form.cleaned_data["grouping"]):
                form.add_error(None, problem)
            elif chosen.archive_sizes and not chosen.tables:
                cases = []  # they are in the archive
            elif form.cleaned_data["grouping"] == BatchForm.ONE:
                case_form = CaseForm(request.POST)
                spec = case_form.spec(chosen.names, capture=form.cleaned_data["capture"])
                cases = [spec] if spec else None
            elif chosen.tables:
                manifest, left_out = _of_table(chosen, form.cleaned_data)
                row_errors = manifest.errors
                cases = None if row_errors else manifest.cases
            else:
                cases = one_case_each(chosen.names, capture=form.cleaned_data["capture"])
            if cases is not None:
                return _made(request, form.cleaned_data, cases, chosen, left_out)
        except Problem as refused:
            if isinstance(refused, RowsRefused) and chosen.tables:
                row_errors = refused.errors
            else:
                form.add_error(None, refused.message)
            status, headers = refused.status, refused.headers
    wrong = request.method == "POST"
    if wrong and asks_for_json(request):
        errors, fields = _error_messages(form, case_form, row_errors)
        answer = {"errors": errors, "fields": fields, "error_table": _as_link(row_errors)}
        return JsonResponse(answer, status=status, headers=headers)
    context = {
        "form": form,
        "case_form": case_form,
        "row_errors": row_errors,
        "row_error_sentences": sentences(row_errors),
        "error_table": _as_link(row_errors),
        "nothing_chosen": NOTHING_CHOSEN,
        "no_pictures": NO_PICTURES,
        "archive_limit": settings.IMPORT_MAX_BYTES,
        "picture_limit": settings.UPLOAD_MAX_BYTES,
        "usage": usage(organisation_of(request)),
    }
    page = render_to_string("cases/batch_new.html", context, request)
    return HttpResponse(page, status=status if wrong else 200, headers=headers)


def _of_table(chosen: Chosen, fields: dict[str, Any]) -> tuple[Manifest, list[str]]:
    """The cases of the table, and which of the files no row names. Where the person gives the batch no name, `fields`
    gain that of the table. Raises Problem `busy`, `too_many_values`.
    """
    [file] = chosen.tables
    table = file.read(MAX_CSV_BYTES + 1)
    with a_turn(len(table)):
        as_json = (file.name or "").lower().endswith(".json")
        manifest, name = read_manifest(table, as_json=as_json, capture=fields["capture"])
        fields["name"] = fields["name"] or name
        if manifest.errors:
            return manifest, []
        names = [*chosen.names, *chosen.beside]
        matched, left_out = with_files_of(manifest, names)
        if not (matched.errors or chosen.archive_sizes):  # a ZIP tells files of one name apart by their folders
            matched.errors.extend(ambiguous_names(matched, names))
        return matched, left_out


def _made(
    request: HttpRequest, fields: dict[str, Any], cases: list[CaseSpec], chosen: Chosen, left_out: list[str]
) -> HttpResponse:
    """Make the batch, or go on with the one that the same page has made of the same files before."""
    actor = actor_of(request)
    content = repr((fields["name"], fields["capture"], chosen.archive_sizes, cases))
    submission = Submission(
        source=Batch.Source.WEB,
        name=fields["name"],
        idempotency_key=f"web:{fields['key']}:{hashlib.sha256(content.encode()).hexdigest()}",
        archive=bool(chosen.archive_sizes),
        capture=fields["capture"],
        left_out=[
            *(_why_left_out(name) for name in left_out),
            *(line(showable(name), "unsafe_name", f"{UNNAMEABLE}. {RENAME}") for name in chosen.misnamed),
        ],
    )
    batch, new = create_batch(actor=actor, organisation=organisation_of(request), submission=submission, cases=cases)
    if asks_for_json(request):
        return JsonResponse(
            {
                "batch": reverse("cases:batch", args=[batch.pk]),
                **upload_addresses(batch),
                "unlisted": [*left_out, *chosen.misnamed],
            }
        )
    if not new and batch.state != Batch.State.OPEN:
        messages.info(request, "These files were sent before, in this batch.")
        return redirect("cases:batch", batch.pk)
    for file in chosen.archives if new or awaits_archive(batch) else []:
        store_archive(actor=actor, batch=batch, file=file)
    unwanted = set(left_out)
    store_files(batch=batch, files=[file for file in chosen.pictures if file.name not in unwanted])
    return redirect("cases:batch", batch.pk)


def _why_left_out(name: str) -> dict[str, str]:
    """The line about a file that is an image of no case."""
    if is_no_picture(name):
        return line(showable(name), "no_picture", NO_PICTURE)
    return line(showable(name), "not_in_table", UNLISTED)


@for_roles(Role.PROVIDER)
@require_POST
def batch_files(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Take files for the images of an open batch that have not arrived, matched by name; and a ZIP that it awaits. A
    script names its pictures, and is told where each goes.
    """
    batch = get_object_or_404(Batch, pk=batch_id, organisation=organisation_of(request))
    if asks_for_json(request):
        return _places(request, batch)
    chosen = chosen_files(request)
    try:
        for file in chosen.archives:
            store_archive(actor=actor_of(request), batch=batch, file=file)
        matches = store_files(batch=batch, files=chosen.pictures)
    except Problem as problem:
        messages.error(request, problem.message)
        return redirect("cases:batch", batch.pk)
    if stored := len(matches.images):
        messages.success(request, "1 file has arrived." if stored == 1 else f"{stored:,} files have arrived.")
    names = [file.name or "" for file in chosen.pictures]
    for reason, left in (
        ("Of this batch no image waits any more for", matches.before),
        ("No image of this batch waits for", matches.unknown),
    ):
        _say_left_out(request, reason, [names[place] for place in left])
    return redirect("cases:batch", batch.pk)


def _places(request: HttpRequest, batch: Batch) -> JsonResponse:
    """Where each picture goes that a script will send, of the `sizes` that it says, in bytes."""
    if request.FILES:  # of a page that was opened before scripts sent pictures past the site
        return JsonResponse({"errors": [OLD_PAGE]}, status=409)
    both = zip(announced(request, "names"), announced(request, "sizes"), strict=False)
    announced_files = [(name, size) for name, size in both if isinstance(size, int) and size >= 0]
    names = [name for name, _ in announced_files]
    try:
        matches = match_names(batch=batch, names=[as_filename(name) for name in names])
        places = [{"file": n, **upload_place(image, size=announced_files[n][1])} for n, image in matches.images.items()]
    except Problem as problem:
        return JsonResponse({"errors": [problem.message]}, status=problem.status)
    left = {"before": [names[n] for n in matches.before], "unknown": [names[n] for n in matches.unknown]}
    return JsonResponse({"places": places, **left})


def _say_left_out(request: HttpRequest, reason: str, names: list[str]) -> None:
    if names:
        files = "one of the files, so it was" if len(names) == 1 else f"{len(names):,} of the files, so they were"
        messages.warning(request, f"{reason} {files} left out: {shown(names)}.")


def _error_messages(
    form: BatchForm, case_form: CaseForm, row_errors: Sequence[RowError]
) -> tuple[list[str], list[str]]:
    """Every mistake as a sentence that says where it is, and of each the id of its field, if it has one."""
    messages = [
        (f"{source.fields[name].label or name.replace('_', ' ').capitalize()}: {error}", source[name].auto_id)
        if name in source.fields
        else (str(error), "files")
        for source in (form, case_form)
        for name, errors in source.errors.items()
        for error in errors
    ]
    messages += [(sentence, "") for sentence in sentences(row_errors)]
    return [sentence for sentence, _ in messages], [field for _, field in messages]


def _as_link(row_errors: Sequence[RowError]) -> str:
    """The mistakes as a CSV file inside a link, since nothing was stored that could be asked for them later."""
    return f"data:text/csv;charset=utf-8,{quote(error_table(row_errors))}" if row_errors else ""
