"""Where every prediction comes from: snapshot of labels → training run → release."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from ml import bundle
from ml.classes import CLASSES
from webapp.leases import Leased


class Split(models.TextChoices):
    """What an image is for: to learn from, to tune on, or to be measured on."""

    TRAIN = "train", "Train"
    VALIDATION = "validation", "Validation"
    TEST = "test", "Test"


class PatientSplit(models.Model):
    """The split that a patient's images are in: decided once, so that a test patient is never trained on."""

    patient = models.OneToOneField("accounts.Patient", models.CASCADE, primary_key=True, related_name="+")
    split = models.CharField(max_length=10, choices=Split)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(split__in=["train", "validation", "test"]), name="patient_split_known")
        ]

    def __str__(self) -> str:
        return f"patient {self.patient_id}: {self.split}"


class DatasetSnapshot(models.Model):
    """An immutable list of labelled images with their split, known by the SHA-256 of its content."""

    sha256 = models.CharField(max_length=64, unique=True)
    counts = models.JSONField(help_text="Images by split and class")
    images = models.PositiveIntegerField()
    by_patient = models.PositiveIntegerField(
        null=True, help_text="Images whose lesion is not named, so that they count as one lesion of their patient"
    )
    of_nobody = models.PositiveIntegerField(
        null=True, help_text="Images whose patient is not named either, which are for training alone"
    )
    withheld = models.PositiveIntegerField(
        null=True,
        help_text="Labelled images that were left out when it was first drawn up, since their patients do not agree "
        "that models learn from their photos",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"snapshot {self.sha256[:12]}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new snapshot. Raises TypeError for one that exists: it never changes."""
        if not self._state.adding:
            raise TypeError("a snapshot is immutable")
        super().save(*args, **kwargs)

    @property
    def key(self) -> str:
        return f"snapshots/{self.sha256}.csv"

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of `table`."""
        return CLASSES

    @property
    def table(self) -> list[dict[str, Any]]:
        """The counts with a row for each split: its name, a number for each of `classes`, and their total."""
        rows = []
        for split in Split:
            counts = [self.counts.get(split.value, {}).get(code, 0) for code in CLASSES]
            rows.append({"split": split.label, "counts": counts, "total": sum(counts)})
        return rows


class ModelRelease(models.Model):
    """A bundle that may serve. Exactly one is active at a time."""

    class State(models.TextChoices):
        CANDIDATE = "candidate", "Candidate"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"

    name = models.CharField(max_length=60, unique=True)
    bundle_sha256 = models.CharField(max_length=64, unique=True)
    code_version = models.CharField(max_length=64)
    manifest = models.JSONField(help_text="The bundle's manifest")
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_note = models.TextField(blank=True)
    replaced = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", help_text="What a rollback returns to"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="active"), name="release_one_active"),
            models.CheckConstraint(
                condition=Q(state="candidate") | Q(decided_at__isnull=False), name="release_decided_has_date"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """The bundle's folder in object storage."""
        return f"bundles/{self.bundle_sha256}"

    @property
    def unusable(self) -> str | None:
        """Why this version of the software cannot answer with it, as for its preprocessing; None where it can."""
        return bundle.unusable(self.manifest)

    @property
    def learns_from_labels(self) -> bool:
        """Whether it tells apart the classes that annotators name, so that their labels can train it further."""
        return bool(self.manifest["classes"] == list(CLASSES))


class TrainingRun(Leased):
    """One retraining from a snapshot, starting at a parent release; one is active at a time."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        EVALUATED = "evaluated", "Evaluated"
        FAILED = "failed", "Failed"

    LIVE = (State.QUEUED, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    snapshot = models.ForeignKey(DatasetSnapshot, models.PROTECT, related_name="runs")
    parent = models.ForeignKey(ModelRelease, models.PROTECT, related_name="+")
    candidate = models.OneToOneField(ModelRelease, models.PROTECT, null=True, blank=True, related_name="training_run")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", help_text="Empty: started by itself"
    )
    epochs = models.PositiveSmallIntegerField()
    members = models.JSONField(default=list)
    progress = models.JSONField(default=list, help_text="Events of the run, one for each epoch and stage")
    gate = models.JSONField(null=True, blank=True, help_text="Candidate against parent on the frozen test split")
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=Q(state__in=["queued", "running"]), name="training_one_active"
            ),
            models.CheckConstraint(
                name="training_state_consistent",
                condition=Q(state__in=["queued", "running"], finished_at=None)
                | Q(state="evaluated", candidate__isnull=False, gate__isnull=False, finished_at__isnull=False)
                | (Q(state="failed", finished_at__isnull=False) & ~Q(error="")),
            ),
        ]

    def __str__(self) -> str:
        return f"training run {self.id}"
