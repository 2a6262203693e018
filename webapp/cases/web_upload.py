"""Files that a provider sends with the browser become cases: one file is one case, unless a table or the person groups
them. The names come first and the bytes follow, so that what a broken connection lost is known and can be sent again.
"""

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from django.core.files.uploadedfile import UploadedFile

from ml.imaging.archive import Archive
from ml.imaging.refusal import ArchiveRefused
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.audit.services import Actor
from webapp.cases.archives import complete_archive, key_of
from webapp.cases.models import Batch, Image
from webapp.cases.naming import case_ids, stem
from webapp.cases.selectors import awaited_images
from webapp.cases.services import CaseSpec, Submission, create_batch, receive
from webapp.errors import Problem


def one_case_each(names: Sequence[str], *, capture: str) -> list[CaseSpec]:
    """A case for each file, known by the file's name."""
    return [
        CaseSpec(external_id=case_id, patient_id=case_id, filenames=[name], capture=capture)
        for name, case_id in zip(names, case_ids(names), strict=True)
    ]


def with_files_of(specs: Sequence[CaseSpec], names: Sequence[str]) -> tuple[list[CaseSpec], list[str]]:
    """The table's cases with the names that the files have: published tables leave out the ending.

    Also gives the names of the files that no case of the table has.
    """
    by_stem = {stem(name): name for name in names}
    known = set(names)
    found = [
        replace(spec, filenames=[n if n in known else by_stem.get(n, n) for n in spec.filenames]) for spec in specs
    ]
    listed = {name for spec in found for name in spec.filenames}
    return found, [name for name in names if name not in listed]


def open_batch(*, actor: Actor, organisation: Organisation, name: str, cases: Sequence[CaseSpec]) -> Batch:
    """An open batch that waits for the files of its cases."""
    submission = Submission(source=Batch.Source.WEB, name=name)
    batch, _ = create_batch(actor=actor, organisation=organisation, submission=submission, cases=cases)
    return batch


def take_archive(*, actor: Actor, batch: Batch, file: UploadedFile, table: bytes | None, capture: str) -> None:
    """Store a ZIP for a worker to unpack, with the `table` of its cases inside it where that came beside it."""
    if table is not None and _can_be_read(file):
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("lesionlens-cases.csv", table)
    file.seek(0)
    storage.write_file(key_of(batch), file)
    complete_archive(actor=actor, batch=batch, capture=capture)


def _can_be_read(file: UploadedFile) -> bool:
    """Whether this is a ZIP of bounded size inside. One that is not stays as it came: the worker says what is wrong."""
    try:
        with Archive(cast(BinaryIO, file)):
            return True
    except ArchiveRefused:
        return False


@dataclass(frozen=True)
class Taken:
    """What became of files that arrived: how many found their image, and the names of those that nothing waited for."""

    stored: int
    unknown: list[str]


def take_files(*, batch: Batch, files: Iterable[UploadedFile]) -> Taken:
    """Store files as the images of an open batch that wait for files of their names."""
    if batch.state != Batch.State.OPEN:
        raise Problem("batch_not_open", "This batch was submitted. Put further files in a new batch.")
    files = list(files)
    waiting = defaultdict[str, list[Image]](list)
    for image in awaited_images(batch).filter(filename__in=[file.name for file in files]):
        waiting[image.filename].append(image)
    stored, unknown = 0, []
    for file in files:
        name = file.name or ""
        if waiting[name]:
            receive(image=waiting[name].pop(0), file=file)
            stored += 1
        else:
            unknown.append(name)
    return Taken(stored, unknown)
