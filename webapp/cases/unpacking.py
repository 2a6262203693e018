"""What a worker does with an archive: its entries become images of the open batch, its table the cases.

Everything here can be done twice: an attempt that died is followed by another, which finds the cases and images that
are there and goes on.
"""

import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ml.imaging.archive import LONGEST_NAME, Entry, Limits
from ml.imaging.archive import Archive as ZipArchive
from ml.imaging.refusal import ArchiveRefused
from webapp import storage
from webapp.cases.archives import finish
from webapp.cases.left_out import ABSENT, NO_PICTURE, UNSAFE_NAME, Report, fits, line, missing, of_rows, showable
from webapp.cases.locks import locked, require_open
from webapp.cases.manifest.filenames import Files, case_ids, is_no_picture
from webapp.cases.manifest.mistakes import RowsRefused
from webapp.cases.manifest.reading import Manifest, from_csv
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Archive, Batch, Case, Image
from webapp.cases.quotas import NoRoomYet
from webapp.cases.services import INSERT_SIZE, add_cases
from webapp.cases.upload_limits import given_up_before
from webapp.cases.uploads import mark_stored
from webapp.errors import Problem
from webapp.leases import UNLEASED, excuse, extend, lasting

CHUNK_ENTRIES = 50
CHUNK_BYTES = 64 * 1024**2
ROOM_AGAIN = 300  # seconds from one try to the next while a quota is full, at least: each reads the whole ZIP
ROOM_AGAIN_AT_MOST = 3600  # though a day's quota says when it has room: it may be raised meanwhile
HOLD_SECONDS = 1.0  # between two questions whether the lease still holds

Found = tuple[str, str, Entry]  # a name, as an image has it, and a path


class LeaseLost(Exception):
    """Another worker has the archive now."""


class Stopped(Exception):
    """This worker is about to end."""


def expand(token: uuid.UUID, archive: Archive, *, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Unpack a leased archive. A bad entry or row is listed in its report, and the rest goes on. What nobody means as a
    picture is only named by its batch.

    False if it has not ended: the lease was lost, and the worker that has it now goes on; or, which counts no attempt,
    `stopping` says that this worker is asked to end, and another may go on at once, or a quota is full, and it waits
    for room. Raises StorageAway: the lease then runs out.
    """
    attempt = _Unpacking(archive, token, stopping)
    report, reason = attempt.report, ""
    try:
        with tempfile.TemporaryFile() as file:
            attempt.run(cast(BinaryIO, file))
    except LeaseLost:
        return False
    except Stopped:
        excuse(Archive.objects.filter(pk=archive.pk), token, **UNLEASED)
        return False
    except ArchiveRefused as refusal:
        reason = refusal.code
        report.insert(0, line("", refusal.code, f"{refusal.message} It goes into a new batch."))
    except FileNotFoundError:
        reason = "upload_missing"
        report.insert(0, line("", reason, "The archive is not in storage any more. Please send it in a new batch."))
    except storage.ObjectRefused:
        if archive.attempt < settings.MAX_ATTEMPTS:
            raise
        reason = "storage_refused"
        message = "The site could not keep this archive. Send it in a new batch, and tell whoever runs the site."
        report.insert(0, line("", reason, message))
    except Problem as problem:  # the batch takes no more: it was cancelled, or would hold too many cases
        if isinstance(problem, NoRoomYet) and _waits_for_room(token, archive, problem):
            return False
        reason = problem.code
        errors = problem.errors if isinstance(problem, RowsRefused) else []
        report[:0] = [line("", problem.code, problem.message), *of_rows(errors)]
    return finish(
        archive=archive, token=token, report=report, more=attempt.absent, left_out=attempt.left_out, reason=reason
    )


def _waits_for_room(token: uuid.UUID, archive: Archive, full: NoRoomYet) -> bool:
    """Try again later, and say why meanwhile, as long as an upload is waited for. Counts no attempt. False if the lease
    was lost, or the archive has waited that long already.
    """
    told = f"{full.message} You need do nothing: the ZIP is kept, and unpacked once there is room."
    waiting = Archive.objects.filter(pk=archive.pk, stored_at__gte=given_up_before())
    seconds = min(max(ROOM_AGAIN, cast(int, full.details["retry_after"])), ROOM_AGAIN_AT_MOST)
    return bool(excuse(waiting, token, report=[line("", full.code, told)], lease_until=lasting(seconds)))


class _Unpacking:
    """One attempt."""

    def __init__(self, archive: Archive, token: uuid.UUID, stopping: Callable[[], bool]) -> None:
        self.archive, self.token, self.stopping = archive, token, stopping
        self.report: Report = []
        self.absent: Report = []  # each of the files that a line of the report names some of
        self.left_out: Report = []
        self.held_at = time.monotonic()
        self.batch = archive.batch

    def run(self, file: BinaryIO) -> None:
        """Unpack the archive by way of `file`, since a ZIP is read from its end. Raises what `expand` answers."""
        self._require_open()
        for piece in storage.pieces(self.archive.key):
            file.write(piece)
            if file.tell() > settings.IMPORT_MAX_BYTES:  # another was sent to the same URL, after this was measured
                raise ArchiveRefused("archive_too_large")
            self._hold()
        limits = Limits(total_bytes=max(Limits.total_bytes, 2 * settings.IMPORT_MAX_BYTES))
        with ZipArchive(file, limits) as opened:
            if not self.archive.listed and opened.manifest() is None:
                self._add(self._one_case_each(opened))
        with ZipArchive(file, limits) as opened:  # again, since what it has unpacked is counted against its limits
            self._unpack(opened)

    def _hold(self, *, seconds: float = HOLD_SECONDS) -> None:
        """Keep the lease, asking the database once in `seconds`. Raises LeaseLost and Stopped."""
        if self.stopping():
            raise Stopped
        if time.monotonic() - self.held_at < seconds:
            return
        if not extend(Archive.objects.filter(pk=self.archive.pk), self.token):
            raise LeaseLost
        self.held_at = time.monotonic()

    def _require_open(self) -> None:
        """Nothing more is read for a batch that was cancelled meanwhile."""
        require_open(Batch.objects.get(pk=self.batch.pk))

    def _unpack(self, opened: ZipArchive) -> None:
        paths = zip(opened.paths(), opened.names(), strict=True)
        files = Files((path, name) for path, name in paths if _nameable(name))
        table = opened.manifest()
        if self.archive.listed:
            self._match(files)
            if table is not None:
                message = "The cases of this batch were listed before the archive came, so its table was not read."
                self.report.append(line("", "table_left_out", message))
        elif table is not None:
            self._add(self._listed(from_csv(table, capture=self.archive.capture), files))
        for chunk in _chunks(zip(opened.names(), opened.paths(), opened.entries(), strict=True)):
            self._require_open()
            self._store(chunk)
            self._hold(seconds=0)

    def _one_case_each(self, opened: ZipArchive) -> list[CaseSpec]:
        """A case for each file that can be read: all are known, and have room, before the first is stored. Raises
        ArchiveRefused where none of them is meant as a picture.
        """
        names = [name for name in opened.names() if not is_no_picture(name)]
        if not names:
            raise ArchiveRefused("empty_archive")
        ids = dict(reversed([*zip(names, case_ids(names), strict=True)]))  # of one name, the first file counts
        specs = []
        for entry in opened.entries():
            self._hold()
            if entry.data is not None and entry.name in ids:
                spec = CaseSpec(external_id=ids[entry.name], filenames=[entry.name], capture=self.archive.capture)
                specs.append(spec)
        return specs

    def _match(self, files: Files) -> None:
        """Give the awaited images the names that their files have here: published tables leave out the ending."""
        taken = set(self.batch.images.values_list("case_id", "filename"))
        renamed = []
        for image in self.batch.images.filter(state=Image.State.AWAITING_UPLOAD).only("case_id", "filename"):
            match files.meant(image.filename):
                case [name] if (image.case_id, name) not in taken:
                    taken.add((image.case_id, name))
                    image.filename = name
                    renamed.append(image)
                case [_, _, *_] as several:
                    self.report.append(line(image.filename, "image_ambiguous", fits(image.filename, several)))
        with transaction.atomic():
            locked(self.batch.pk)
            Image.objects.bulk_update(renamed, ["filename"], batch_size=INSERT_SIZE)

    def _listed(self, manifest: Manifest, files: Files) -> list[CaseSpec]:
        """The table's cases, with those of their files that are here. Raises Problem without a sound row."""
        self.report += of_rows(manifest.errors)
        if manifest.errors and not manifest.cases:
            raise Problem(
                "manifest_invalid", "The table in the archive names no case. Correct it; it goes into a new batch."
            )
        found = []
        absent: list[str] = []
        for spec in manifest.cases:
            here: dict[str, None] = {}
            for wanted, row in zip(spec.filenames, spec.rows, strict=True):
                match files.meant(wanted):
                    case [name]:
                        here[name] = None
                    case []:
                        absent.append(wanted)
                        self.absent.append(line(f"row {row}", "file_missing", f"{wanted} {ABSENT}"))
                    case several:
                        self.report.append(line(f"row {row}", "image_ambiguous", fits(wanted, several)))
            if here:
                found.append(replace(spec, filenames=list(here)))
        if absent:
            self.report.append(line("", "files_missing", missing(absent)))
        return found

    def _add(self, specs: Sequence[CaseSpec]) -> None:
        """Add the cases that are not in the batch yet."""
        ids = [spec.external_id for spec in specs]
        known = set(Case.objects.filter(batch=self.batch, external_id__in=ids).values_list("external_id", flat=True))
        announced, arrived = self.archive.created_at, self.archive.stored_at or self.archive.created_at
        new = [spec for spec in specs if spec.external_id not in known]
        add_cases(batch=self.batch, cases=new, stated_between=(announced, arrived))

    def _store(self, chunk: Sequence[Found]) -> None:
        """Give each entry to the images of its name."""
        written: dict[Image, int] = {}
        images = defaultdict[str, list[Image]](list)
        for image in self.batch.images.filter(filename__in=[name for name, _, _ in chunk if _nameable(name)]):
            images[image.filename].append(image)
        for name, path, entry in chunk:
            # What is erased with a case is found by the name of its image; else the path says which file is meant.
            shown = entry.name if images[name] else showable(path)
            if not images[name] and is_no_picture(name):
                self.left_out.append(line(shown, "no_picture", NO_PICTURE))
            elif entry.refusal is not None:
                code = entry.refusal.code
                message = UNSAFE_NAME if code == "unsafe_name" else entry.refusal.message
                self.report.append(line(shown, code, message))
                _reject([image for image in images[name] if image not in written], code, message)
            elif not images[name]:
                message = "No case names this file, or its row has a mistake that is listed, so it was left out."
                self.report.append(line(shown, "not_in_table", message))
            for image in images[name]:
                if entry.data is not None and image.state == Image.State.AWAITING_UPLOAD:
                    storage.write(image.upload_key, entry.data)
                    written[image] = len(entry.data)
        mark_stored(batch_id=self.batch.pk, sizes=written)


def _nameable(name: str) -> bool:
    """Whether an image can have the name of an entry, which may be refused: the database takes no other."""
    return "\0" not in name and len(name) <= LONGEST_NAME


def _reject(images: Iterable[Image], code: str, message: str) -> None:
    """End the images that a table names and that could not be unpacked, unless another file is awaited by now. Their
    batch is open, so none is counted.
    """
    for image in images:
        awaited = Image.objects.filter(pk=image.pk, state=Image.State.AWAITING_UPLOAD, tries=image.tries)
        awaited.update(state=Image.State.REJECTED, reason=code, advice=message, ended_at=timezone.now())


def _chunks(entries: Iterable[Found]) -> Iterator[list[Found]]:
    """The same in lists of bounded size in memory."""
    chunk: list[Found] = []
    size = 0
    for found in entries:
        chunk.append(found)
        size += len(found[2].data or b"")
        if len(chunk) >= CHUNK_ENTRIES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
