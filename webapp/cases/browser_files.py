"""Files that a provider sends with the browser become cases: one file is one case, unless a table or the person groups
them. The names come first and the bytes follow, so that what a broken connection lost is known and can be sent again.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.urls import reverse

from webapp import storage
from webapp.audit.services import Actor
from webapp.cases.archives import complete_archive, key_of
from webapp.cases.locks import require_open
from webapp.cases.manifest.fields import IMAGES
from webapp.cases.manifest.filenames import Files, case_ids, folded
from webapp.cases.manifest.mistakes import RowError
from webapp.cases.manifest.reading import Manifest
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch, Image, PartedUpload
from webapp.cases.parts import give_up_parts
from webapp.cases.selectors import awaited_images
from webapp.cases.services import NOT_ARRIVED
from webapp.cases.upload_limits import awaits_archive, check_size
from webapp.cases.uploads import store_upload
from webapp.errors import Problem
from webapp.multipart import PART_BYTES

ONE_EACH = "Give each file a name of its own, or put all of them into a ZIP file with their folders."
SENT_BY = ("complete", "archive-parts", "complete-archive")


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
    matched = Manifest()
    for spec in table.cases:
        here: dict[str, None] = {}
        for wanted, row in zip(spec.filenames, spec.rows, strict=True):
            match [wanted] if wanted in known else files.meant(wanted):
                case [_, _, *_] as several:
                    message = (
                        f"{wanted} fits several of the files: {', '.join(several)}. Name it as its file is named, "
                    )
                    matched.errors.append(RowError(row, IMAGES, "image_ambiguous", f"{message}with its ending."))
                case fitting:
                    here[fitting[0] if fitting else wanted] = None
        matched.cases.append(replace(spec, filenames=list(here)))
    listed = {name for spec in matched.cases for name in spec.filenames}
    return matched, [name for name in names if name not in listed]


def ambiguous_names(table: Manifest, names: Sequence[str]) -> list[RowError]:
    """What is wrong with a table that `with_files_of` gave, where a name that it has is that of two files of these
    `names`, or is said of two cases: a browser gives no folders, so a picture could become another patient's.
    """
    called, first = Counter(names), dict[str, str]()
    errors = []
    for spec in table.cases:
        for name, row in zip(spec.filenames, spec.rows, strict=False):
            case_id = first.setdefault(name, spec.external_id)
            if case_id == spec.external_id and called[name] < 2:
                continue
            also = f"{called[name]} of the files have it" if called[name] > 1 else f"case {case_id} has it, too"
            message = f"{name} is no name of one picture alone: {also}. {ONE_EACH}"
            errors.append(RowError(row, IMAGES, "image_ambiguous", message))
    return errors


def store_archive(*, actor: Actor, batch: Batch, file: UploadedFile) -> None:
    """Store a ZIP for a worker to unpack into an open batch that awaits one."""
    if not awaits_archive(batch):
        raise Problem("not_awaited", "This batch awaits no ZIP file. Put it in a new batch.")
    storage.write_file(key_of(batch), file)
    complete_archive(actor=actor, batch=batch)


@dataclass(frozen=True)
class FileMatches:
    """The images that wait for files of a list of names, by the places of these in it; and the places of names whose
    images had their file `before`, and of `unknown` ones, for which no image waits.
    """

    images: dict[int, Image] = field(default_factory=dict)
    before: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)


def match_names(*, batch: Batch, names: Sequence[str]) -> FileMatches:
    """Find the images of an open batch that wait for files of these names, written in any case of letters and in any
    form of Unicode where no image has the very name. Without its ending none is found: another file, which comes in a
    request of its own, may be meant as well.
    """
    require_open(batch, joining="files")
    known = set(batch.images.filter(filename__in=names).values_list("filename", flat=True))
    if left := set(names) - known:
        _name_as_files(batch, left)
    waiting = defaultdict[str, list[Image]](list)
    for image in awaited_images(batch).filter(filename__in=names):
        waiting[image.filename].append(image)
    there = batch.images.filter(filename__in=names).exclude(state__in=NOT_ARRIVED)
    arrived = set(there.values_list("filename", flat=True))
    matches = FileMatches()
    for place, name in enumerate(names):
        if waiting[name]:
            matches.images[place] = waiting[name].pop(0)
        else:
            (matches.before if name in arrived else matches.unknown).append(place)
    return matches


def store_files(*, batch: Batch, files: Sequence[UploadedFile]) -> FileMatches:
    """Store files that came through the site as the images of an open batch that wait for files of their names."""
    matches = match_names(batch=batch, names=[file.name or "" for file in files])
    for place, image in matches.images.items():
        store_upload(image=image, file=files[place])
    return matches


def upload_addresses(batch: Batch) -> dict[str, str]:
    """The addresses by which a script sends files into a batch: where it asks for the places of pictures, and says that
    they are there; and the same of a ZIP.
    """
    asked = {name: reverse(f"api:batch-{name}", args=[batch.pk]) for name in SENT_BY}
    return {"batch_files": reverse("cases:batch_files", args=[batch.pk]), **asked}


def upload_place(image: Image, *, size: int) -> dict[str, Any]:
    """Where a script sends a file of `size` bytes that an image awaits: whole, or by the address of its `parts` where
    `upload` is None. Of one that comes whole, the parts of a larger one that broke off before it are forgotten.

    Raises Problem `too_large_bytes`.
    """
    key = image.awaited_key
    check_size(key, size)
    whole = size <= PART_BYTES
    if whole and PartedUpload.objects.filter(key=key).exists():
        give_up_parts(key=key)
    upload = asdict(storage.upload_target(key, size=size or None)) if whole else None
    return {"id": str(image.pk), "upload": upload, "parts": reverse("api:image-parts", args=[image.pk])}


def _name_as_files(batch: Batch, names: Set[str]) -> None:
    """Give awaited images the names that their files have on a disk, where it is clear which is meant."""
    files, wanted = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for name in names:
        files[folded(name)].append(name)
    for name in set(awaited_images(batch).values_list("filename", flat=True)):
        wanted[folded(name)].append(name)
    for key, on_disk in files.items():
        match on_disk, wanted[key]:
            case [name], [awaited]:
                batch.images.filter(filename=awaited, state=Image.State.AWAITING_UPLOAD).update(filename=name)
