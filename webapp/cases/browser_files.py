"""Files that a provider sends with the browser become cases: one file is one case, unless a table or the person groups
them. The names come first and the bytes follow, so that what a broken connection lost is known and can be sent again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

from django.core.files.uploadedfile import UploadedFile

from webapp import storage
from webapp.audit.services import Actor
from webapp.cases.archives import complete_archive, key_of
from webapp.cases.arrivals import receive
from webapp.cases.awaited import awaits_archive
from webapp.cases.fields import IMAGES
from webapp.cases.locks import require_open
from webapp.cases.manifest import Manifest
from webapp.cases.matching import Files, folded
from webapp.cases.models import Batch, Image
from webapp.cases.naming import case_ids
from webapp.cases.rows import RowError
from webapp.cases.selectors import awaited_images
from webapp.cases.services import MISSING
from webapp.cases.spec import CaseSpec
from webapp.errors import Problem


def one_case_each(names: Sequence[str], *, capture: str) -> list[CaseSpec]:
    """A case for each file, known by the file's name."""
    return [
        CaseSpec(external_id=case_id, filenames=[name], capture=capture)
        for name, case_id in zip(names, case_ids(names), strict=True)
    ]


def with_files_of(table: Manifest, names: Sequence[str]) -> tuple[Manifest, list[str]]:
    """A table without mistakes with the names that the files have, each once: published tables leave out the ending,
    and disks keep accents as Excel does not. A name that fits several files is a mistake.

    Also gives the names of the files that no case of the table has.
    """
    known, files = set(names), Files(zip(names, names, strict=True))
    found = Manifest()
    for spec in table.cases:
        here: dict[str, None] = {}
        for wanted in spec.filenames:
            match [wanted] if wanted in known else files.meant(wanted):
                case [_, _, *_] as several:
                    message = (
                        f"{wanted} fits several of the files: {', '.join(several)}. Name it as its file is named, "
                    )
                    found.errors.append(RowError(spec.rows[0], IMAGES, "image_ambiguous", f"{message}with its ending."))
                case fitting:
                    here[fitting[0] if fitting else wanted] = None
        found.cases.append(replace(spec, filenames=list(here)))
    listed = {name for spec in found.cases for name in spec.filenames}
    return found, [name for name in names if name not in listed]


def take_archive(*, actor: Actor, batch: Batch, file: UploadedFile) -> None:
    """Store a ZIP for a worker to unpack into an open batch that awaits one."""
    if not awaits_archive(batch):
        raise Problem("not_awaited", "This batch awaits no ZIP file. Put it in a new batch.")
    storage.write_file(key_of(batch), file)
    complete_archive(actor=actor, batch=batch)


@dataclass(frozen=True)
class Taken:
    """What became of files that arrived: how many found their image, the names of those whose image had its file
    before, and of those that nothing waited for.
    """

    stored: int
    before: list[str]
    unknown: list[str]


def take_files(*, batch: Batch, files: Iterable[UploadedFile]) -> Taken:
    """Store files as the images of an open batch that wait for files of their names, written in any case of letters and
    in any form of Unicode where no image has the very name. Without its ending none is found: another file, which
    comes in a request of its own, may be meant as well.
    """
    require_open(batch, joining="files")
    files = list(files)
    named = [file.name or "" for file in files]
    known = set(batch.images.filter(filename__in=named).values_list("filename", flat=True))
    if left := set(named) - known:
        _name_as_files(batch, left)
    waiting = defaultdict[str, list[Image]](list)
    for image in awaited_images(batch).filter(filename__in=named):
        waiting[image.filename].append(image)
    there = batch.images.filter(filename__in=named).exclude(state__in=MISSING)
    arrived = set(there.values_list("filename", flat=True))
    stored, before, unknown = 0, list[str](), list[str]()
    for file in files:
        name = file.name or ""
        if waiting[name]:
            receive(image=waiting[name].pop(0), file=file)
            stored += 1
        else:
            (before if name in arrived else unknown).append(name)
    return Taken(stored, before, unknown)


def _name_as_files(batch: Batch, names: Set[str]) -> None:
    """Give awaited images the names that their files have on a disk, where it is clear which is meant."""
    files, wanted = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for name in names:
        files[folded(name)].append(name)
    for name in set(awaited_images(batch).values_list("filename", flat=True)):
        wanted[folded(name)].append(name)
    for key, found in files.items():
        match found, wanted[key]:
            case [name], [awaited]:
                batch.images.filter(filename=awaited, state=Image.State.AWAITING_UPLOAD).update(filename=name)
