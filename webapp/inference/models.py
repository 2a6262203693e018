"""The work at the model (Job), what it answered for an image (Result) and for a case (CaseResult)."""

import uuid
from functools import lru_cache

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ml.advice import Advice
from ml.classes import DISPLAY_NAMES
from webapp.cases.models import Batch, Case, Image, Priority
from webapp.leases import Leased
from webapp.registry.models import ModelRelease

DX_CHOICES = [(code, code) for code in DISPLAY_NAMES]
NEWEST = ("-created_at", "-pk")  # what was answered last is what holds, also after a rollback to an older release
ADVICE_CHOICES = [(advice.value, advice.name.replace("_", " ").capitalize()) for advice in Advice]

ONE_IN = 4  # images is drawn by chance to be labelled: labels of the others say nothing of how often the model is right
DRAWN_BELOW = uuid.UUID(int=2**128 // ONE_IN)  # an image's id is a random number already
BLAMELESS = 2  # attempts that may fail before the image itself is suspected
SUSPECT = Q(state="queued", attempt__gte=BLAMELESS)
"""Jobs whose workers died twice, with all that they had leased: any one of these may be the reason."""


class Job(Leased):
    """One image to be answered by the active release. Bigger ids are newer, so ids order the queue."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    LIVE = (State.QUEUED, State.RUNNING)

    image = models.ForeignKey(Image, models.CASCADE, related_name="jobs")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="jobs")
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="+")
    priority = models.SmallIntegerField(choices=Priority)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "priority", "id"], condition=Q(state="queued"), name="job_queued"),
            models.Index(fields=["priority"], condition=Q(state="queued", priority=0), name="job_of_a_person"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="job_running"),
            models.Index(fields=["organisation", "priority", "id"], condition=SUSPECT, name="job_suspect_in_turn"),
            models.Index(fields=["batch", "state"], name="job_in_batch"),
            models.Index(fields=["finished_at"], condition=Q(state="succeeded"), name="job_succeeded"),
            models.Index(fields=["finished_at"], condition=Q(state="failed"), name="job_failed"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["image"], condition=Q(state__in=["queued", "running"]), name="job_one_live_for_image"
            ),
            models.CheckConstraint(
                name="job_state_consistent",
                condition=Q(state="queued", lease_token=None, finished_at=None)
                | Q(state="running", lease_token__isnull=False, lease_until__isnull=False, finished_at=None)
                | Q(state__in=["succeeded", "cancelled"], lease_token=None, finished_at__isnull=False)
                | (Q(state="failed", lease_token=None, finished_at__isnull=False) & ~Q(reason="")),
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"


class Answer(models.Model):
    """What a release says: of an image, or of a case as a whole."""

    release = models.ForeignKey("registry.ModelRelease", models.PROTECT, related_name="+")
    probabilities = models.JSONField(help_text="P(class) by code, of the classes that were told apart; they sum to 1")
    top_class = models.CharField(max_length=10, choices=DX_CHOICES)
    malignant = models.FloatField(help_text="P(any malignant class)")
    uncertainty = models.FloatField(
        null=True, help_text="Standard deviation of P(malignant) over the ensemble's members; null where there is one"
    )
    advice = models.CharField(max_length=20, choices=ADVICE_CHOICES)
    # What was written last holds, so one clock says when that was: machines' clocks disagree.
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True


class Result(Answer):
    """The answer of one release for one image: at most one, whatever dies on the way."""

    image = models.ForeignKey(Image, models.CASCADE, related_name="results")
    organisation = models.ForeignKey(  # null where a version wrote it that did not know this column
        "accounts.Organisation", models.PROTECT, null=True, related_name="+", db_index=False
    )
    case = models.ForeignKey(Case, models.CASCADE, related_name="image_results")
    doubt = models.FloatField(
        null=True, help_text="As `answers.doubt_of` gives it; null once the image is settled or deleted"
    )
    job = models.OneToOneField(Job, models.CASCADE, related_name="result")
    preprocessing = models.CharField(max_length=40, help_text="Version of the preprocessing function")
    input_sha256 = models.CharField(max_length=64, help_text="Of the derivative that the model was given")
    heatmap = models.BinaryField(default=b"", help_text="As ml.imaging.overlay.pack gives it")

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "doubt"],
                condition=Q(doubt__isnull=False, image__gte=DRAWN_BELOW),
                name="result_in_doubt",
            ),
            models.Index(
                fields=["organisation", "image"],
                condition=Q(doubt__isnull=False, image__lt=DRAWN_BELOW),
                name="result_drawn",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["image", "release"], name="result_one_for_image_and_release"),
            models.CheckConstraint(condition=Q(malignant__gte=0, malignant__lte=1), name="result_malignant_range"),
        ]

    def __str__(self) -> str:
        return f"result {self.pk}"


class CaseResult(Answer):
    """The answer for a case: the newest answers of its images combined. `release` gave the last of them.

    Where releases that tell different classes apart answered its images, it says malignant or benign alone.
    """

    case = models.ForeignKey(Case, models.CASCADE, related_name="results")
    images = models.PositiveSmallIntegerField(help_text="How many images were combined")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "release"], name="result_one_for_case_and_release"),
            models.CheckConstraint(condition=Q(malignant__gte=0, malignant__lte=1), name="case_result_malignant_range"),
        ]

    def __str__(self) -> str:
        return f"result of case {self.case_id}"

    @property
    def follows_one_image(self) -> bool:
        """Whether the advice is that of one image alone, and their mean would have given none to see a doctor."""
        if self.images == 1 or self.advice != Advice.ROUTINE_REFERRAL:
            return False
        return self.malignant < routine_threshold(self.release_id)

    @property
    def malignant_share(self) -> float | None:
        """How many of the pictures were malignant on which the release was calibrated."""
        return malignant_share(self.release_id)


@lru_cache(maxsize=64)
def routine_threshold(release_id: int) -> float:
    """P(malignant) from which a release refers; it never changes, and a report asks for it of thousands of cases."""
    manifests = ModelRelease.objects.filter(pk=release_id).values_list("manifest__thresholds", flat=True)
    return float(manifests.get()[Advice.ROUTINE_REFERRAL])


@lru_cache(maxsize=64)
def malignant_share(release_id: int) -> float | None:
    """As `CaseResult.malignant_share`, which never changes for a release; None where it does not say."""
    share: float | None = ModelRelease.objects.values_list("manifest__malignant_share", flat=True).get(pk=release_id)
    return share


class Worker(models.Model):
    """An inference worker that is alive, and the release that it has in memory."""

    name = models.CharField(max_length=100, primary_key=True)
    release = models.ForeignKey("registry.ModelRelease", models.CASCADE, related_name="+")
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
