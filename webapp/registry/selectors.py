"""What operators ask: what answers, how many labels there are, and where a release or an answer came from."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from ml.classes import BINARY, CLASSES, DISPLAY_NAMES
from webapp.audit.models import Event
from webapp.cases.models import Case, Image
from webapp.inference.models import Result
from webapp.labels.models import Consensus
from webapp.registry.models import ModelRelease, TrainingRun


def active_release() -> ModelRelease | None:
    """The release that answers new images; None before the first one is promoted."""
    return ModelRelease.objects.filter(state=ModelRelease.State.ACTIVE).first()


def previous_release() -> ModelRelease | None:
    """The release that a rollback makes active."""
    active = active_release()
    return active.replaced if active else None


def rolled_back() -> set[int]:
    """The ids of the releases that were active and are not what a rollback would lead to: they were rolled back from,
    so what they answered is doubtful.
    """
    served = ModelRelease.objects.filter(state__in=[ModelRelease.State.ACTIVE, ModelRelease.State.RETIRED])
    rows = list(served.values_list("pk", "state", "replaced"))
    replaced = {pk: before for pk, _, before in rows}
    step = next((pk for pk, state, _ in rows if state == ModelRelease.State.ACTIVE), None)
    while step in replaced:
        step = replaced.pop(step)
    return set(replaced)


@dataclass(frozen=True)
class Held:
    """How many cases hold an answer of a release: of those that nobody has reviewed, and of those given to patients."""

    to_review: int
    released: int


def held_by(release: ModelRelease) -> Held:
    """What would stay behind of a release that is rolled back."""
    released = Q(released_at__isnull=False)
    counts = Case.objects.filter(answer__release=release).aggregate(
        to_review=Count("pk", filter=~released), released=Count("pk", filter=released)
    )
    return Held(**counts)


def replaced_by(release: ModelRelease) -> ModelRelease | None:
    """What a rollback will return to once this release is promoted: the active one. To promote one that rollbacks lead
    to is a rollback itself, so then it stays what that one had replaced.
    """
    active = step = active_release()
    passed = set[int]()
    while step is not None and step.pk not in passed:
        if step == release:
            return release.replaced
        passed.add(step.pk)
        step = step.replaced
    return active


def gate_objection(release: ModelRelease) -> str | None:
    """What the gate has against promoting a candidate; None where it passed against the release that is active, or was
    never asked, as for one that shipped.
    """
    run = getattr(release, "training_run", None)
    if release.state != ModelRelease.State.CANDIDATE or run is None or run.gate is None:
        return None
    if run.gate["verdict"] != "passed":
        return f"The gate's verdict on this candidate is “{run.gate['verdict']}”."
    if run.parent.state != ModelRelease.State.ACTIVE:
        return f"The gate compared this candidate with {run.parent.name}, which is not active any more."
    return None


@dataclass(frozen=True)
class Labels:
    """How many accepted labels there are to train on."""

    total: int
    new: int  # since the last run was started
    needed: int  # new ones at which a run starts by itself
    withheld: int  # besides them, of patients who do not agree

    @property
    def missing(self) -> int:
        return max(self.needed - self.new, 0)


def accepted_labels() -> Labels:
    """The accepted labels of the seven classes, and how many of them no run has had yet."""
    usable = usable_labels()
    return Labels(
        total=usable.count(),
        new=_new(usable).count(),
        needed=settings.RETRAIN_AFTER_LABELS,
        withheld=withheld_labels().count(),
    )


def retraining_is_due() -> bool:
    """Whether enough labels were accepted since the last run, none is active, and the active release can learn from
    them.
    """
    if TrainingRun.objects.filter(state__in=TrainingRun.LIVE).exists():
        return False
    active = active_release()
    if active is None or not active.learns_from_labels:
        return False
    return bool(_new(usable_labels()).count() >= settings.RETRAIN_AFTER_LABELS)


def usable_labels() -> QuerySet[Consensus]:
    """The accepted labels that a model can learn from: of one of its classes, of an image that is still there, and of a
    patient who agrees to it.
    """
    return _accepted().filter(image__case__patient__training_consent=True)


def withheld_labels() -> QuerySet[Consensus]:
    """Those that a model could learn from, had their patients agreed."""
    return _accepted().filter(image__case__patient__training_consent=False)


def _accepted() -> QuerySet[Consensus]:
    return Consensus.objects.filter(dx__in=CLASSES, image__state=Image.State.READY)


def _new(usable: QuerySet[Consensus]) -> QuerySet[Consensus]:
    last = TrainingRun.objects.order_by("-created_at").values_list("created_at", flat=True).first()
    return usable.filter(created_at__gt=last) if last else usable


def classes_of_releases() -> dict[str, str]:
    """The classes that answers may name, with their names, in the order used everywhere: those of every release that
    has served, and where these tell different ones apart also the two that a case of both is answered with.
    """
    served = ModelRelease.objects.filter(state__in=[ModelRelease.State.ACTIVE, ModelRelease.State.RETIRED])
    told_apart = {tuple(codes) for codes in served.values_list("manifest__classes", flat=True)}
    named = {code for codes in told_apart for code in codes} | set(BINARY.codes if len(told_apart) > 1 else ())
    return {code: name for code, name in DISPLAY_NAMES.items() if code in named}


def releases() -> QuerySet[ModelRelease]:
    """Every release, newest first, with the run and the snapshot that it came from."""
    return ModelRelease.objects.select_related("training_run__snapshot", "training_run__parent").order_by(
        "-created_at", "-pk"
    )


def decisions(release: ModelRelease) -> QuerySet[Event]:
    """Who decided what of a release, newest first; one that was rolled back, or back to, has served more than once."""
    of_it = Event.objects.filter(object_id=str(release.pk), action__startswith="release.")
    return of_it.select_related("user").order_by("-at", "-pk")


def runs() -> QuerySet[TrainingRun]:
    """Every training run, newest first."""
    return TrainingRun.objects.select_related("snapshot", "parent", "candidate", "requested_by").order_by("-created_at")


def answered(release: ModelRelease) -> int:
    """How many images this release has answered."""
    return Result.objects.filter(release=release).count()


def answers_of(results: "QuerySet[Result]", query: str) -> Sequence[Result]:
    """The results that a result's number, or the id of an image or a case, names; empty for anything else."""
    found = results.select_related("release__training_run__snapshot", "release__training_run__parent")
    text = query.strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        return list(found.filter(pk=int(text)))
    try:
        wanted = uuid.UUID(text)
    except ValueError:
        return []
    return list(found.filter(Q(image=wanted) | Q(case=wanted)).order_by("-created_at", "-pk"))


def history(release: ModelRelease) -> list[dict[str, Any]]:
    """The releases that this one was trained from, itself first: each with its run (None for one that shipped)."""
    steps = []
    current: ModelRelease | None = release
    while current is not None:
        run = TrainingRun.objects.select_related("snapshot", "parent").filter(candidate=current).first()
        steps.append({"release": current, "run": run})
        current = run.parent if run else None
    return steps
