"""The life of a training run: queued with its snapshot, run under a lease, evaluated or failed once."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import F, JSONField, Max, Value
from django.db.models.expressions import CombinedExpression
from django.utils import timezone
from redis.exceptions import RedisError

from ml.classes import MALIGNANT
from ml.gate import CLASS_LESIONS, MARGINS, lesions_needed
from webapp.audit.services import SYSTEM, Actor, record
from webapp.errors import Problem
from webapp.leases import UNLEASED, claim, excuse, expired, extend, give_back
from webapp.queue import Task, ring, ring_now
from webapp.registry.models import ModelRelease, Split, TrainingRun
from webapp.registry.selectors import active_release, retraining_is_due, usable_labels
from webapp.registry.services import register_release
from webapp.registry.snapshots import Content, draw_up, preview, store
from webapp.registry.splits import Told

logger = structlog.get_logger(__name__)
State = TrainingRun.State
ASKED_AGAIN_SECONDS = 600  # all labels are read, unless another comes before
LEASE_SECONDS = 1800  # hours of training must outlast a database that is away, in which no lease is extended


def start_run(*, actor: Actor, epochs: int | None = None) -> TrainingRun:
    """Freeze the accepted labels and queue a run that goes on from the active release.

    epochs: None takes RETRAIN_EPOCHS. It trains RETRAIN_MEMBERS, or the release's first member where those name none.
    Raises Problem `no_active_release`, `other_classes` for one that does not answer with the seven classes of the
    labels, `training_active`, or `too_few_labels` with the images by split.
    """
    parent = active_release()
    if parent is None:
        raise Problem("no_active_release", "No release is active, so there is nothing to train further.")
    if not parent.learns_from_labels:
        raise Problem(
            "other_classes",
            f"Labels name seven classes and {parent.name} tells {len(parent.manifest['classes'])} apart, so they "
            "cannot train it further. Promote a release of the seven classes.",
        )
    if TrainingRun.objects.filter(state__in=TrainingRun.LIVE).exists():
        raise _active_already()
    content = draw_up()
    if objection := too_few(content):
        raise Problem("too_few_labels", objection, images={split.value: content.images(split) for split in Split})
    snapshot = store(content)
    first_member = [member["name"] for member in parent.manifest["members"][:1]]
    try:
        with transaction.atomic():
            run = TrainingRun.objects.create(
                snapshot=snapshot,
                parent=parent,
                requested_by=actor.user,
                epochs=settings.RETRAIN_EPOCHS if epochs is None else epochs,
                members=list(settings.RETRAIN_MEMBERS or first_member),
            )
            record(actor=actor, action="training.started", object_id=run.pk, organisation=None)
            ring(Task.TRAIN)
    except IntegrityError as error:
        if "training_one_active" not in str(error):
            raise
        raise _active_already() from None
    return run


def too_few(content: Content) -> str:
    """Why a run cannot start from this content; empty where it can."""
    if content.images(Split.TRAIN) and content.images(Split.TEST):
        return ""
    objection = (
        f"There are {content.images(Split.TRAIN)} labelled images to train on and {content.images(Split.TEST)} to test "
        "with. Both need at least one: label images of more patients."
    )
    if nobodys := content.told[Told.NOBODY]:
        objection += (
            f" {nobodys} of them are only to train on, since neither patient nor lesion is named: send `patient_id`."
        )
    return objection


@dataclass(frozen=True)
class Needed:
    """Lesions of `kind` (malignant, benign, or a class) that a gate would have, and needs to decide."""

    kind: str
    there: int
    needed: int

    @property
    def enough(self) -> bool:
        return self.there >= self.needed


def gate_needs(deciding: Mapping[str, int]) -> list[Needed]:
    """What the gate of a run would decide by, at most: a model has seen some before. `deciding` is its content's."""
    sides = lesions_needed({**MARGINS, "sensitivity": settings.GATE_MARGIN}, settings.GATE_MIN_LESIONS)
    wanted = {**sides, **dict.fromkeys(MALIGNANT, CLASS_LESIONS)}
    return [Needed(kind, deciding.get(kind, 0), needed) for kind, needed in wanted.items()]


def outlook() -> tuple[str, list[Needed]]:
    """Why no run could start now, empty where one could, and what its gate would decide by: as of the newest label, or
    of ten minutes ago at most.
    """
    key, found = _until_another_label("training-outlook"), None
    with suppress(RedisError, OSError):  # a page is shown without it, too
        found = cache.get(key)
    if found is None:
        content = preview()
        found = too_few(content), content.deciding
        with suppress(RedisError, OSError):
            cache.set(key, found, timeout=ASKED_AGAIN_SECONDS)
    objection, deciding = found
    return objection, gate_needs(deciding)


def _until_another_label(name: str) -> str:
    """A key of the cache that nobody asks for any more once another label is accepted."""
    return f"{name}:{usable_labels().aggregate(newest=Max('pk'))['newest']}"


def _active_already() -> Problem:
    return Problem("training_active", "A training run is active already. Wait for it to end.")


def start_run_if_due() -> TrainingRun | None:
    """Start a run without being asked, once RETRAIN_AFTER_LABELS labels were accepted since the last one. Where they
    turn out to be too few for one, nobody looks again until another comes, or for ten minutes: that reads them all.
    """
    if not retraining_is_due():
        return None
    refused = _until_another_label("retraining-refused")
    if cache.get(refused):
        return None
    try:
        return start_run(actor=SYSTEM)
    except Problem as problem:
        if problem.code == "too_few_labels":
            cache.set(refused, True, timeout=ASKED_AGAIN_SECONDS)
        logger.info("retraining_not_started", code=problem.code)
        return None


def claim_run() -> tuple[uuid.UUID, TrainingRun] | None:
    """Lease the queued run, if there is one. What an earlier attempt reported is dropped with it."""
    waiting = TrainingRun.objects.filter(state=State.QUEUED).select_related("snapshot", "parent")
    token, runs = claim(waiting, limit=1, seconds=LEASE_SECONDS, state=State.RUNNING, progress=[])
    return (token, runs[0]) if runs else None


def keep_run(*, run: TrainingRun, token: uuid.UUID) -> bool:
    """Push the lease's deadline. False if the lease was lost."""
    return bool(extend(_held(run, token), token, seconds=LEASE_SECONDS))


def report_progress(*, run: TrainingRun, token: uuid.UUID, events: Sequence[dict[str, Any]]) -> bool:
    """Append events to the run's progress. False if the lease was lost."""
    more = Value(list(events), output_field=JSONField())
    return bool(_held(run, token).update(progress=CombinedExpression(F("progress"), "||", more)))


@transaction.atomic
def finish_run(
    *, run: TrainingRun, token: uuid.UUID, gate: dict[str, Any], bundle_sha256: str, manifest: dict[str, Any]
) -> ModelRelease | None:
    """Register the stored bundle as a candidate and end the run with its gate. None if the lease was lost.

    A bundle that is registered already taught nothing new: the run fails with `nothing_learned`.
    """
    if not _held(run, token).select_for_update().exists():
        return None
    if ModelRelease.objects.filter(bundle_sha256=bundle_sha256).exists():
        fail_run(run=run, token=token, error="nothing_learned: the candidate is the same as a release that exists")
        return None
    candidate = register_release(bundle_sha256=bundle_sha256, manifest=manifest)
    _held(run, token).update(
        state=State.EVALUATED, candidate=candidate, gate=gate, finished_at=timezone.now(), **UNLEASED
    )
    run.refresh_from_db()
    return candidate


def fail_run(*, run: TrainingRun, token: uuid.UUID, error: str) -> bool:
    """End the run without a candidate. `error` is a code, a colon and a sentence. False if the lease was lost."""
    ended = _held(run, token).update(state=State.FAILED, error=error, finished_at=timezone.now(), **UNLEASED)
    if ended:
        run.refresh_from_db()
        logger.warning("training_failed", run=str(run.pk), error=error.partition(":")[0])
    return bool(ended)


def give_back_run(*, run: TrainingRun, token: uuid.UUID) -> bool:
    """Return the run to the queue because its worker is stopping, which does not count as an attempt."""
    returned = excuse(_held(run, token), token, state=State.QUEUED, **UNLEASED)
    if returned:
        ring_now(Task.TRAIN)
    return bool(returned)


@transaction.atomic
def stop_run(*, actor: Actor, run: TrainingRun) -> None:
    """End a run that is not wanted any more. Its worker finds its lease lost when it next extends it, in a quarter of
    the setting LEASE_SECONDS at most, and ends the trainer. Raises Problem `training_ended`.
    """
    live = TrainingRun.objects.filter(pk=run.pk, state__in=TrainingRun.LIVE)
    error = "stopped: An operator stopped it."
    if not live.update(state=State.FAILED, error=error, finished_at=timezone.now(), **UNLEASED):
        raise Problem("training_ended", "This run had ended before you stopped it.")
    record(actor=actor, action="training.stopped", object_id=run.pk, organisation=None)


def sweep_training() -> int:
    """Queue a run whose worker died again, or fail it when its attempts are spent; start one where enough labels came.

    Rings while one is queued, every half minute at most: nobody may listen before. Gives how many runs changed.
    """
    lost = TrainingRun.objects.filter(expired(), state=State.RUNNING)
    swept = give_back(lost, state=State.QUEUED)
    swept += lost.filter(attempt__gte=settings.MAX_ATTEMPTS).update(
        state=State.FAILED,
        error="worker_lost: every attempt ended with the worker's death",
        finished_at=timezone.now(),
        **UNLEASED,
    )
    swept += start_run_if_due() is not None
    if TrainingRun.objects.filter(state=State.QUEUED).exists():
        ring_now(Task.TRAIN)
    return swept


def _held(run: TrainingRun, token: uuid.UUID) -> Any:
    return TrainingRun.objects.filter(pk=run.pk, state=State.RUNNING, lease_token=token)
