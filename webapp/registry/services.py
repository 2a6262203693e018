"""Releases: registered as candidates, promoted by an operator, rolled back with one click. One is active."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from webapp.audit.services import Actor, record
from webapp.errors import Problem
from webapp.queue import Task, ring
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release, gate_objection, previous_release, replaced_by

State = ModelRelease.State


@transaction.atomic
def register_release(*, bundle_sha256: str, manifest: dict[str, Any]) -> ModelRelease:
    """A bundle, already in object storage, as a candidate. Registering it again gives the release that it is.

    It keeps the name that its manifest gives it, with its hash where another release has that name.
    """
    name = str(manifest["name"])[:40]
    if ModelRelease.objects.filter(name=name).exclude(bundle_sha256=bundle_sha256).exists():
        name = f"{name}-{bundle_sha256[:8]}"
    release, _ = ModelRelease.objects.get_or_create(
        bundle_sha256=bundle_sha256,
        defaults={"name": name, "code_version": manifest["code_version"], "manifest": manifest},
    )
    return release


@transaction.atomic
def promote(*, actor: Actor, release: ModelRelease, note: str = "", instead_of: str | None = None) -> ModelRelease:
    """Make a candidate, or a retired release again, the active one; workers swap to it between batches. `instead_of` is
    the name of the active one that a person was told of, empty where they were told of none.

    Raises Problem `gate_not_passed` for a trained candidate that the gate did not pass against the active release,
    unless `note` says why it is promoted all the same, `release_rejected` for a rejected one, `release_unusable`, and
    `not_the_active_release` where another than `instead_of` is active.
    """
    _lock_releases()
    release.refresh_from_db()
    if release.state == State.ACTIVE:
        return release
    if release.state == State.REJECTED:
        raise Problem("release_rejected", "This release was rejected. Train a new candidate.")
    _check_usable(release)
    active = active_release()
    if instead_of is not None and instead_of != (active.name if active else ""):
        raise Problem(
            "not_the_active_release",
            "Another release became active meanwhile, so nothing was changed. Read again what this one would replace.",
        )
    if (objection := gate_objection(release)) and not note.strip():
        raise Problem("gate_not_passed", f"{objection} Write down why it should serve all the same.")
    release.replaced = replaced_by(release)
    _activate(actor, release, note, "release.promoted")
    return release


@transaction.atomic
def reject(*, actor: Actor, release: ModelRelease, note: str = "") -> ModelRelease:
    """Put a candidate aside for good. Raises Problem `not_a_candidate`."""
    _lock_releases()
    release.refresh_from_db()
    if release.state != State.CANDIDATE:
        raise Problem("not_a_candidate", "Only a candidate can be rejected.")
    _decide(actor, release, State.REJECTED, note, "release.rejected")
    return release


@transaction.atomic
def roll_back(*, actor: Actor, to: ModelRelease | None = None) -> ModelRelease:
    """Make the release that the active one replaced active again. `to` is the one that a person was asked about.

    A second rollback goes one release further back; it never returns to what was rolled back from. Raises Problem
    `nothing_to_roll_back_to`, `release_unusable`, and `not_the_previous_release` where `to` is not what the active one
    replaced.
    """
    _lock_releases()
    previous = previous_release()
    if previous is None:
        raise Problem("nothing_to_roll_back_to", "No release was active before this one.")
    if to not in (None, previous):
        raise Problem(
            "not_the_previous_release",
            f"Another release became active meanwhile, so nothing was changed. A rollback now goes to {previous.name}.",
        )
    _check_usable(previous)
    _activate(actor, previous, "", "release.rolled_back")
    return previous


def _check_usable(release: ModelRelease) -> None:
    if reason := release.unusable:
        raise Problem("release_unusable", f"{release.name} cannot answer, so nothing was changed: {reason}")


def _lock_releases() -> None:
    # One promotion at a time: the releases' rows are few.
    list(ModelRelease.objects.select_for_update().order_by("pk").values_list("pk"))


def _activate(actor: Actor, release: ModelRelease, note: str, action: str) -> None:
    if (before := active_release()) is not None:
        _decide(actor, before, State.RETIRED, "", "release.retired")
    _decide(actor, release, State.ACTIVE, note, action)
    ring(Task.DRAIN)


def _decide(actor: Actor, release: ModelRelease, state: str, note: str, action: str) -> None:
    """What was noted of it before stays with it, below `note`: why it served, though its gate had not passed."""
    release.state, release.decision_note = state, f"{note}\n{release.decision_note}".strip()
    release.decided_by, release.decided_at = actor.user, timezone.now()
    release.save(update_fields=["state", "decision_note", "decided_by", "decided_at", "replaced"])
    record(actor=actor, action=action, object_id=release.pk, organisation=None, detail=release.name)
