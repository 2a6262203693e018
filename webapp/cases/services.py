"""What providers, patients and their software do with batches, up to the moment when every image is on its way."""

import hashlib
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone

from webapp.accounts.models import Organisation
from webapp.audit.services import Actor, record
from webapp.cases.left_out import MAX_LISTED, Lines, keep_more
from webapp.cases.locks import locked, require_open
from webapp.cases.manifest.mistakes import RowError, RowsRefused
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import METADATA_FIELDS, Archive, Batch, Case, Image, Priority
from webapp.cases.patients import TimeRange, is_of, patients_of
from webapp.cases.quotas import require_room
from webapp.cases.selectors import cases_there
from webapp.cases.upload_limits import awaits_archive
from webapp.cases.uploads import NEVER_UPLOADED
from webapp.errors import Problem
from webapp.inference.completion import combine_answered, end_images
from webapp.inference.reruns import stop_repeats
from webapp.inference.services import cancel_jobs, enqueue
from webapp.notify.services import notify_patient_of_cancellation
from webapp.webhooks.events import batch_cancelled

INSERT_SIZE = 1000
MAX_CASES = 20_000  # in a batch: all of HAM10000 fits
UNUSABLE = [Image.State.REJECTED, Image.State.EXPIRED, Image.State.PURGED]
NOT_ARRIVED = {Image.State.AWAITING_UPLOAD, Image.State.EXPIRED}  # in an open batch


@dataclass(frozen=True)
class Submission:
    """Where a batch comes from and how a repeat of it is recognised."""

    source: str
    name: str = ""
    idempotency_key: str | None = None
    archive: bool = False  # a ZIP is to come
    capture: str = Case.Capture.UNKNOWN  # of its pictures, where no table comes with them
    left_out: Lines = ()  # files that were chosen and are no image of it, as an archive's report
    manifest: bytes = field(default=b"", repr=False)  # the request's body

    @property
    def manifest_sha256(self) -> str:
        return hashlib.sha256(self.manifest).hexdigest() if self.manifest else ""


def create_batch(
    *, actor: Actor, organisation: Organisation, submission: Submission, cases: Sequence[CaseSpec]
) -> tuple[Batch, bool]:
    """Make an open batch with its cases and images. Gives it, and whether it is new.

    The same idempotency key and manifest give the batch that they made before. Raises Problem
    `idempotency_key_reused` where the manifest is another, and the problems of `add_cases`.
    """
    try:
        with transaction.atomic():
            batch = Batch.objects.create(
                organisation=organisation,
                created_by=actor.user,
                name=submission.name,
                source=submission.source,
                priority=Priority.INTERACTIVE if submission.source == Batch.Source.PATIENT else Priority.BULK,
                idempotency_key=submission.idempotency_key,
                manifest_sha256=submission.manifest_sha256,
                left_out=[*submission.left_out[:MAX_LISTED]],
            )
            keep_more(batch=batch, lines=submission.left_out[MAX_LISTED:])
            _add(batch, cases)
            if submission.archive:
                Archive.objects.create(batch=batch, capture=submission.capture)
            record(actor=actor, action="batch.created", object_id=batch.id, organisation=organisation)
            return batch, True
    except IntegrityError as error:
        if "batch_idempotency" not in str(error):
            raise
    batch = Batch.objects.get(organisation=organisation, idempotency_key=submission.idempotency_key)
    if batch.manifest_sha256 != submission.manifest_sha256:
        raise Problem(
            "idempotency_key_reused",
            "This Idempotency-Key came with other bytes before. Send those again, or a new key for a new batch.",
            status=422,
        )
    return batch, False


@transaction.atomic
def add_cases(*, batch: Batch, cases: Sequence[CaseSpec], stated_between: TimeRange | None = None) -> bool:
    """Add cases, patients and images to an open batch. Gives whether they are new: where each is there already as it is
    said now, the request is a repeat, and changes nothing. Where they were said before, `stated_between` tells when.

    Raises Problem `case_id_repeated`, `too_many_cases`, `batch_not_open`, and those of `require_room` and of
    `patients_of`.
    """
    require_open(locked(batch.pk))
    found = batch.cases.filter(external_id__in=[spec.external_id for spec in cases]).select_related("patient")
    known = {case.external_id: case for case in found}
    if len(known) == len(cases) and _is_repeat(known, cases):
        return False
    _add(batch, cases, there=batch.cases.count(), known=known.keys(), stated_between=stated_between)
    return True


def _is_repeat(known: Mapping[str, Case], cases: Sequence[CaseSpec]) -> bool:
    """Whether each of the cases is there already, with the same metadata, images and patient."""
    files = defaultdict[uuid.UUID, set[str]](set)
    images = Image.objects.filter(case__in=[case.pk for case in known.values()])
    for case_id, filename in images.values_list("case_id", "filename"):
        files[case_id].add(filename)
    return all(
        all(getattr(case, name) == getattr(spec, name) for name in METADATA_FIELDS)
        and files[case.pk] == set(spec.filenames)
        and is_of(spec, case.patient)
        for spec in cases
        for case in [known[spec.external_id]]
    )


def _add(
    batch: Batch,
    cases: Sequence[CaseSpec],
    *,
    there: int = 0,
    known: Set[str] = frozenset(),
    stated_between: TimeRange | None = None,
) -> None:
    """Add cases to a batch that nobody else changes, where so many are `there`, and `known` of the new ids already."""
    if there + len(cases) > MAX_CASES:
        raise Problem(
            "too_many_cases", f"A batch holds at most {MAX_CASES} cases. Put the rest in another.", status=422
        )
    if batch.priority == Priority.BULK:
        require_room(organisation=batch.organisation, images=sum(len(spec.filenames) for spec in cases))
    counts = Counter(spec.external_id for spec in cases)
    if repeated := known | {name for name, count in counts.items() if count > 1}:
        told = "Give every case of a batch an id of its own."
        errors = [
            RowError(row, "case_id", "case_id_repeated", f"This id is taken in the batch. {told}")
            for spec in cases
            if spec.external_id in repeated
            for row in dict.fromkeys(spec.rows)
        ]
        raise RowsRefused("case_id_repeated", told, errors, case_ids=sorted(repeated)[:100])
    patients = patients_of(organisation=batch.organisation, cases=cases, stated_between=stated_between)
    rows = [
        Case(
            batch_id=batch.pk,
            organisation_id=batch.organisation_id,
            patient_id=patient,
            source=batch.source,
            external_id=spec.external_id,
            **{name: getattr(spec, name) for name in METADATA_FIELDS},
        )
        for spec, patient in zip(cases, patients, strict=True)
    ]
    Case.objects.bulk_create(rows, batch_size=INSERT_SIZE)
    Image.objects.bulk_create(
        [
            Image(
                case_id=row.pk,
                batch_id=batch.pk,
                organisation_id=batch.organisation_id,
                filename=filename,
                priority=batch.priority,
            )
            for row, spec in zip(rows, cases, strict=True)
            for filename in spec.filenames
        ],
        batch_size=INSERT_SIZE,
    )


@transaction.atomic
def submit_batch(*, actor: Actor, batch: Batch, allow_missing: bool = False) -> Batch:
    """Send a batch to the model. Submitting twice changes nothing.

    Raises Problem `uploads_incomplete` where images are awaited, or came too late, and `archive_incomplete` where an
    archive was refused, or its report lists what was left out, unless `allow_missing` gives them up; `batch_empty`, or
    what of its archive is why; `archive_pending` while an archive is being unpacked; `batch_cancelled`.
    """
    rows = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("organisation")
    batch = rows.get(pk=batch.pk)
    if batch.state == Batch.State.CANCELLED:
        raise Problem("batch_cancelled", "This batch was cancelled. Create a new one.")
    if batch.state != Batch.State.OPEN:
        return batch
    archive = Archive.objects.filter(batch=batch).first()
    if archive and archive.state == Archive.State.STORED:
        told = "The archive is still being unpacked. Submit again in a moment."
        if archive.report:  # why it is kept
            told = f"{archive.report[0]['message']} Submit again after that, or cancel the batch."
        raise Problem("archive_pending", told)
    counts = dict(batch.images.order_by().values_list("state").annotate(Count("pk")))
    now = timezone.now()
    if counts.keys() & NOT_ARRIVED and not allow_missing:
        raise Problem(
            "uploads_incomplete",
            "Some images have not been uploaded. Upload and complete them, or submit with allow_missing. Those that "
            "have expired come too late: put them in a new batch, with a new Idempotency-Key.",
            image_ids=[str(pk) for pk in batch.images.filter(state__in=NOT_ARRIVED).values_list("pk", flat=True)[:100]],
        )
    if counts.get(Image.State.AWAITING_UPLOAD):
        batch.images.filter(state=Image.State.AWAITING_UPLOAD).update(ended_at=now, **NEVER_UPLOADED)
    taken = bool(counts.keys() - NOT_ARRIVED)
    if archive and archive.report and not (taken and allow_missing):
        raise _incomplete(archive, others=taken)
    if not counts and awaits_archive(batch):
        raise Problem("upload_missing", "The archive is still awaited. Upload and complete it, then submit again.")
    if not counts:
        raise Problem("batch_empty", "This batch has no images. Add at least one case with an image.", status=422)
    batch.state, batch.submitted_at, batch.remaining = Batch.State.SUBMITTED, now, sum(counts.values())
    batch.case_count = cases_there()
    batch.save(update_fields=["state", "submitted_at", "remaining", "case_count"])
    images = list(batch.images.filter(state__in=[Image.State.READY, *UNUSABLE]))
    enqueue(batch=batch, images=[image for image in images if image.state == Image.State.READY])
    if unusable := [image for image in images if image.state != Image.State.READY]:
        end_images(batch=batch, ended=unusable, failures=len(unusable))
    record(actor=actor, action="batch.submitted", object_id=batch.id, organisation=batch.organisation)
    return batch


def _incomplete(archive: Archive, *, others: bool) -> Problem:
    """Why its batch is not sent, which may have `others` than the images that were left out."""
    became = "The archive was refused" if archive.state == Archive.State.REFUSED else "Some of the archive was left out"
    unless = ", or submit with allow_missing" if others else ""
    told = f"{became}: `archive.report` of the batch says what and why. Correct it and send it in a new batch, with a "
    return Problem("archive_incomplete", f"{told}new Idempotency-Key{unless}.")


@transaction.atomic
def cancel_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Stop a batch: what runs is finished, what waits is dropped, and the cases show the answers that are there. One
    that was complete before a second run, or a newer release, is complete again.

    Raises Problem `batch_finished`.
    """
    batch = locked(batch.pk)
    if batch.state == Batch.State.CANCELLED:
        return batch
    if batch.state not in Batch.LIVE:
        raise Problem("batch_finished", "This batch is complete, so it cannot be cancelled.")
    if stop_repeats(batch):
        record(actor=actor, action="batch.repeat_stopped", object_id=batch.id, organisation=batch.organisation)
        return batch
    if batch.state == Batch.State.OPEN:
        batch.failures = batch.images.filter(state__in=UNUSABLE).count()
        batch.case_count = cases_there()
    batch.state, batch.finished_at, batch.remaining = Batch.State.CANCELLED, timezone.now(), 0
    batch.save(update_fields=["state", "finished_at", "remaining", "failures", "case_count"])
    _drop_images(batch)
    kept = Archive.objects.filter(batch=batch, state=Archive.State.STORED).exclude(report=[])
    kept.update(lease_until=Now())  # until a quota has room: the sweep has it ended now
    cancel_jobs(batch=batch)
    combine_answered(cases=batch.cases.all())
    notify_patient_of_cancellation(batch=batch)
    batch_cancelled(batch=batch)
    record(actor=actor, action="batch.cancelled", object_id=batch.id, organisation=batch.organisation)
    return batch


def _drop_images(batch: Batch) -> None:
    """End the images of a cancelled batch that were not checked yet; one that is being checked now is finished."""
    for state, before in (
        (Image.State.AWAITING_UPLOAD, "this picture arrived"),
        (Image.State.STORED, "this picture was checked"),
    ):
        batch.images.filter(state=state, lease_token=None).update(
            state=Image.State.EXPIRED,
            reason="cancelled",
            advice=f"The batch was cancelled before {before}. Put it in a new batch.",
            ended_at=batch.finished_at,
        )
