"""What a worker does with an archive: its entries become images of the open batch, its table the cases.

Everything here can be done twice: an attempt that died is followed by another, which finds the cases and images that
are there and goes on.
"""

import tempfile
import unicodedata
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO, cast

from django.utils import timezone

from ml.imaging.archive import Archive as ZipArchive
from ml.imaging.archive import Entry
from ml.imaging.refusal import ArchiveRefused
from webapp import storage
from webapp.cases.archives import LEASE_SECONDS, finish
from webapp.cases.manifest import Manifest, from_csv
from webapp.cases.models import Archive, Case, Image
from webapp.cases.naming import case_ids, stem
from webapp.cases.services import CaseSpec, add_cases, complete_upload
from webapp.errors import Problem
from webapp.leases import extend

CHUNK_ENTRIES = 50
CHUNK_BYTES = 64 * 1024**2
MAX_LISTED = 2000

Report = list[dict[str, str]]


class LeaseLost(Exception):
    """Another worker has the archive now."""


def expand(token: uuid.UUID, archive: Archive) -> bool:
    """Unpack a leased archive. A bad entry or row is listed in its report, and the rest goes on.

    False if the lease was lost: the worker that has it now goes on. Where storage is away, this raises and the lease
    runs out.
    """
    report: Report = []
    reason = ""
    try:
        with _fetched(archive.key) as file, ZipArchive(file) as opened:
            _Unpacking(archive, token, report).run(opened)
    except LeaseLost:
        return False
    except ArchiveRefused as refusal:
        reason = refusal.code
        report.insert(0, _line("", refusal.code, refusal.message))
    except FileNotFoundError:
        reason = "upload_missing"
        report.insert(0, _line("", reason, "The archive is not in storage any more. Please send it in a new batch."))
    except Problem as problem:  # the batch takes no more: it was cancelled, or would hold too many cases
        reason = problem.code
        report.insert(0, _line("", problem.code, problem.message))
    return finish(archive=archive, token=token, report=report[:MAX_LISTED], reason=reason)


class _Unpacking:
    """One attempt."""

    def __init__(self, archive: Archive, token: uuid.UUID, report: Report) -> None:
        self.archive, self.token, self.report = archive, token, report
        self.batch = archive.batch

    def run(self, opened: ZipArchive) -> None:
        names = opened.names()
        table = opened.manifest()
        if table is not None:
            self._add(self._listed(from_csv(table, capture=self.archive.capture), names))
        ids = dict(reversed([*zip(names, case_ids(names), strict=True)]))  # of one name, the first file counts
        for chunk in _chunks(opened.entries()):
            if table is None:
                self._add([_spec(ids[e.name], e.name, self.archive.capture) for e in chunk if e.data is not None])
            self._store(chunk)
            if not extend(Archive.objects.filter(pk=self.archive.pk), self.token, seconds=LEASE_SECONDS):
                raise LeaseLost

    def _listed(self, manifest: Manifest, names: Sequence[str]) -> list[CaseSpec]:
        """The table's cases, with those of their files that are here. Raises Problem without a sound row."""
        self.report += [_line(f"row {e.row}", e.code, f"{e.field}: {e.message}") for e in manifest.errors]
        if manifest.errors and not manifest.cases:
            raise Problem("manifest_invalid", "The table in the archive names no case. Correct it and send it again.")
        here = {name.casefold(): name for name in names} | {stem(name).casefold(): name for name in names}
        found = []
        absent = 0
        for spec in manifest.cases:
            wanted = [unicodedata.normalize("NFC", name).casefold() for name in spec.filenames]
            files = list(dict.fromkeys(here[name] for name in wanted if name in here))
            absent += len(wanted) - len(files)
            if files:
                found.append(replace(spec, filenames=files))
        if absent:
            message = f"{absent} files that the table names are not in the archive. Those images were left out."
            self.report.append(_line("", "files_missing", message))
        return found

    def _add(self, specs: Sequence[CaseSpec]) -> None:
        """Add the cases that are not in the batch yet."""
        ids = [spec.external_id for spec in specs]
        known = set(Case.objects.filter(batch=self.batch, external_id__in=ids).values_list("external_id", flat=True))
        add_cases(batch=self.batch, cases=[spec for spec in specs if spec.external_id not in known])

    def _store(self, chunk: Sequence[Entry]) -> None:
        """Give each entry to the images of its name."""
        images = defaultdict[str, list[Image]](list)
        for image in self.batch.images.filter(filename__in=[entry.name for entry in chunk]):
            images[image.filename].append(image)
        for entry in chunk:
            if entry.refusal is not None:
                self.report.append(_line(entry.name, entry.refusal.code, entry.refusal.message))
                _reject(images[entry.name], entry.refusal.code, entry.refusal.message)
            elif not images[entry.name]:
                message = "The table does not name this file, so it was left out."
                self.report.append(_line(entry.name, "not_in_table", message))
            for image in images[entry.name]:
                if entry.data is not None and image.state == Image.State.AWAITING_UPLOAD:
                    storage.write(image.upload_key, entry.data)
                    complete_upload(image=image)


def _reject(images: Iterable[Image], code: str, message: str) -> None:
    """End the images that a table names and that could not be unpacked. Their batch is open, so none is counted."""
    for image in images:
        Image.objects.filter(pk=image.pk, state=Image.State.AWAITING_UPLOAD).update(
            state=Image.State.REJECTED, reason=code, advice=message, ended_at=timezone.now()
        )


@contextmanager
def _fetched(key: str) -> Iterator[BinaryIO]:
    """The object as a file on this machine, since a ZIP is read from its end. Raises FileNotFoundError."""
    with tempfile.TemporaryFile() as file:
        storage.copy_to(key, file)
        file.seek(0)
        yield cast(BinaryIO, file)


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries in lists of bounded size in memory."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        chunk.append(entry)
        size += len(entry.data or b"")
        if len(chunk) >= CHUNK_ENTRIES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _spec(case_id: str, name: str, capture: str) -> CaseSpec:
    return CaseSpec(external_id=case_id, patient_id=case_id, filenames=[name], capture=capture)


def _line(name: str, code: str, message: str) -> dict[str, str]:
    return {"name": name, "code": code, "message": message}
