"""What a provider has chosen in the browser: the files of a request, or what a script says of them, sorted."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from webapp.api.parsers import check_values
from webapp.cases.forms import BatchForm
from webapp.cases.left_out import showable
from webapp.cases.manifest.fields import FieldError, filename
from webapp.cases.manifest.filenames import is_no_picture
from webapp.errors import Problem

NOTHING_CHOSEN = "Choose at least one picture."
SHOWN_NAMES = 20
SPREADSHEETS = (".xls", ".xlsx", ".ods", ".numbers", ".tsv")  # which people take for a table that is read
UNNAMEABLE = "Left out, for a name that is too long or holds a backslash or a control character"
RENAME = "Rename it, and put it in a new batch."


@dataclass
class Chosen:
    """The files of a request by what they are.

    A script sends only the pictures' names and the archives' sizes, in bytes, and the files themselves to storage.
    """

    pictures: list[UploadedFile] = field(default_factory=list)
    tables: list[UploadedFile] = field(default_factory=list)
    archives: list[UploadedFile] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)  # as `names`, of what nobody means as a picture
    misnamed: list[str] = field(default_factory=list)  # announced by names that no picture can have
    archive_sizes: list[int] = field(default_factory=list)


def chosen_files(request: HttpRequest) -> Chosen:
    """Sorts the uploaded files by the ending of their names; what they really are is found out by intake."""
    chosen = Chosen()
    for file in request.FILES.getlist("files"):
        ending = (file.name or "").lower().rpartition(".")[2]
        {"csv": chosen.tables, "json": chosen.tables, "zip": chosen.archives}.get(ending, chosen.pictures).append(file)
    named = [(str(said), as_filename(said)) for said in announced(request, "names")]
    for name in [file.name or "" for file in chosen.pictures] or [name for _, name in named if name]:
        (chosen.beside if is_no_picture(name) else chosen.names).append(name)
    chosen.misnamed = [said for said, name in named if not name]
    sizes = [size for size in announced(request, "archives") if isinstance(size, int)]
    chosen.archive_sizes = [file.size or 0 for file in chosen.archives] + sizes
    return chosen


def announced(request: HttpRequest, what: str) -> list[Any]:
    """What a script says of the files that it will send: a JSON list; what none of ours would say is not heard."""
    posted = request.POST.get(what) or "[]"
    try:
        check_values(posted.encode())
        listed = json.loads(posted)
    except (Problem, ValueError, RecursionError):
        return []
    return listed if isinstance(listed, list) else []


def as_filename(said: object) -> str:
    """The name that a picture can have; empty where it cannot."""
    try:
        return filename(said)
    except FieldError:
        return ""


def problem_of(chosen: Chosen, grouping: str) -> str:
    """What is wrong with this choice of files, in a sentence; empty if nothing is."""
    limit = settings.IMPORT_MAX_BYTES
    one = grouping == BatchForm.ONE
    each = "Choose “Each file is a case of its own” with it."
    sheets = [name for name in [*chosen.names, *chosen.beside] if name.lower().endswith(SPREADSHEETS)]
    nothing = not (chosen.names or chosen.tables or chosen.archive_sizes)
    problems = {
        f"{shown(sheets)}: a table is read as CSV. Save it as “CSV UTF-8” in the program that made it, and choose the "
        "files again.": sheets and not chosen.tables,
        "Choose one ZIP file or single pictures, not both.": chosen.archive_sizes
        and len(chosen.archive_sizes) + bool(chosen.names) > 1,
        f"A ZIP file is for many cases. {each}": one and chosen.archive_sizes,
        f"The ZIP file is larger than {limit // 1024**2} MB. Split it into several.": any(
            size > limit for size in chosen.archive_sizes
        ),
        "Choose one CSV table or JSON manifest at most.": len(chosen.tables) > 1,
        f"A table describes its cases itself. {each}": one and chosen.tables,
        f"{UNNAMEABLE}: {shown(chosen.misnamed)}. {RENAME}": chosen.misnamed and nothing,
        f"{shown(chosen.beside)}: no picture, by what the name says. {NOTHING_CHOSEN}": chosen.beside and nothing,
        NOTHING_CHOSEN: nothing,
    }
    return next((sentence for sentence, holds in problems.items() if holds), "")


def shown(names: list[str]) -> str:
    """The first of the names, in what a page can show."""
    return ", ".join(map(showable, names[:SHOWN_NAMES])) + (" and others" if len(names) > SHOWN_NAMES else "")
