"""A whole case is erased, as its patient may ask (GDPR, Article 17). docs/retention.md says what goes and what stays.

The rows are emptied in one transaction; then the files go, as those of deleted photos do. The case's own row stays,
empty, and so do those of its images: the counts of its batch hold, and nothing that is late can bring the case back.
"""

import secrets
from collections.abc import Sequence, Set
from pathlib import PurePath

from django.db import transaction
from django.db.models import CharField
from django.db.models.functions import Cast
from django.utils import timezone

from webapp.accounts.models import Patient
from webapp.accounts.services import forget_patient
from webapp.audit.services import Actor, forget_actor, record
from webapp.cases.left_out import ABSENT, Lines
from webapp.cases.locks import locked
from webapp.cases.models import EMPTY_METADATA, NO_ANSWER, Archive, Batch, Case, Image
from webapp.cases.retention import delete_files_now, purge
from webapp.cases.same_picture import forget_name
from webapp.cases.selectors import has_more
from webapp.errors import Problem
from webapp.inference.models import CaseResult, Result
from webapp.labels.models import Label
from webapp.notify.services import forget_letters

UNREVIEWED = {
    **dict.fromkeys(["reviewed_by", "reviewed_at", "released_at", "raised_at", "link_locked_at"]),
    **dict.fromkeys(["review_note", "opinion"], ""),
}
WHEN_UNPACKED = "when that has ended; or cancel the batch, if the ZIP is kept until a quota has room."
AMONG_OTHERS = {  # lines of a ZIP's report that name files of any case: they stay, and say no names any more
    "files_missing": "The table names files that are not in the archive. Left out.",
    "file_missing": f"A file that is named here {ABSENT}",
    "image_ambiguous": "A file that is named here fits several files of the archive. Name it with its folder and its "
    "ending. Left out.",
}


def erase_case(*, actor: Actor, case: Case) -> None:
    """Erase a case for good, whatever is being done with it. Twice changes nothing.

    Raises Problem `archive_pending` while a ZIP, which may bring its photos again, is being unpacked into its batch.
    """
    delete_files_now(_erase(actor, case))


def erase_patient(*, actor: Actor, patient: Patient) -> None:
    """Erase every case that an organisation has of a patient, and what is known of them. An account stays the person's
    own, and leads to nothing here any more. Twice changes nothing.

    Raises Problem `archive_pending` as `erase_case`, for all of them before any is erased.
    """
    unpacked = Archive.objects.filter(state=Archive.State.STORED)
    if unpacked.filter(batch__cases__patient=patient, batch__cases__erased_at=None).exists():
        message = "A ZIP is being unpacked into the batch of a case of this patient, so nothing was erased. "
        raise Problem("archive_pending", message + f"Try again {WHEN_UNPACKED}")
    while not _forget(actor, patient):
        for case in patient.cases.filter(erased_at=None):
            erase_case(actor=actor, case=case)


@transaction.atomic
def _forget(actor: Actor, patient: Patient) -> bool:
    """Forget who somebody is who has an account; who has none went with their last case. False while there is one."""
    patient = Patient.objects.select_for_update().get(pk=patient.pk)
    if patient.cases.filter(erased_at=None).exists():
        return False
    if patient.user:
        forget_actor(user=patient.user, about=[patient.pk])
        _forget_patient(actor, patient)
    return True


def _forget_patient(actor: Actor, patient: Patient) -> None:
    forget_patient(patient=patient)
    record(actor=actor, action="patient.erased", object_id=patient.pk, organisation=patient.organisation)


@transaction.atomic
def _erase(actor: Actor, case: Case) -> Sequence[Image]:
    """Empty every row of a case; gives the images whose files are to be deleted."""
    batch = locked(case.batch_id)
    if Archive.objects.filter(batch=batch, state=Archive.State.STORED).exists():
        message = "A ZIP is being unpacked into the batch of this case. Erase the case "
        raise Problem("archive_pending", message + WHEN_UNPACKED)
    case = Case.objects.get(pk=case.pk)
    if case.erased_at:
        return []
    before = Patient.objects.select_for_update().get(pk=case.patient_id)  # nobody gives them a case or an account now
    forgotten = _forgotten(actor, before, case)
    forget_letters(case=case)
    _forget_lines(batch, case)
    forget_name(batch=batch, case=case)
    Case.objects.filter(pk=case.pk).update(
        erased_at=timezone.now(),
        patient=forgotten,
        external_id=f"erased-{secrets.token_hex(8)}",
        **EMPTY_METADATA,
        **NO_ANSWER,
        **UNREVIEWED,
    )
    images = purge(actor=actor, batch_id=batch.pk, wanted=case.images.all(), detail="with their case")
    CaseResult.objects.filter(case=case).delete()
    Result.objects.filter(case=case).delete()
    Label.objects.filter(image__case=case).update(note="")
    case.images.update(
        filename=Cast("pk", CharField()), sha256="", size=0, reason="", quality=[], quality_overridden_by=None
    )
    _forget_sender(batch, case, before)
    record(actor=actor, action="case.erased", object_id=case.pk, organisation=batch.organisation)
    return images


def _forgotten(actor: Actor, patient: Patient, case: Case) -> Patient:
    """Somebody of whom nothing is known, in the place of the patient: the same row where nothing else is theirs."""
    if has_more(patient, case):
        name = f"{Patient.UNNAMED}{secrets.token_hex(8)}"
        return Patient.objects.create(organisation_id=patient.organisation_id, external_id=name)
    _forget_patient(actor, patient)
    return patient


def _forget_sender(batch: Batch, case: Case, patient: Patient) -> None:
    """Take the account that a patient has out of what they did with the case: send it, and read its result."""
    about = [case.pk, *case.images.values_list("pk", flat=True)]
    if batch.source == Batch.Source.PATIENT:
        about.append(batch.pk)
        Batch.objects.filter(pk=batch.pk).update(created_by=None, idempotency_key=None)
    if patient.user:
        forget_actor(user=patient.user, about=about)


def _forget_lines(batch: Batch, case: Case) -> None:
    """Take what an archive's report, and the lines that it has no room for, say of the case's files out of them."""
    files = set(case.images.values_list("filename", flat=True))
    for archive in Archive.objects.filter(batch=batch).exclude(report=[]):
        Archive.objects.filter(pk=archive.pk).update(report=_without(files, archive.report))
    for more in batch.more_left_out.iterator(chunk_size=20):
        if (lines := _without(files, more.lines)) != more.lines:
            batch.more_left_out.filter(pk=more.pk).update(lines=lines)


def _without(files: Set[str], lines: Lines) -> list[dict[str, str]]:
    return [
        {**line, "message": AMONG_OTHERS.get(line["code"], line["message"])}
        for line in lines
        if files.isdisjoint((line["name"], PurePath(line["name"]).name))  # the image may have come since, by itself
    ]
