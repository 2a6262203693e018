"""What annotators say: who is asked (Assignment), what each says (Label), what holds (Consensus)."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from ml.classes import CLASSES, DISPLAY_NAMES
from webapp.cases.models import Image

CANNOT_TELL = "cannot_tell"
IMAGE_PROBLEM = "image_problem"
LABEL_CHOICES = [(code, DISPLAY_NAMES[code]) for code in CLASSES] + [
    (CANNOT_TELL, "Cannot tell"),
    (IMAGE_PROBLEM, "Image problem"),
]


class Assignment(models.Model):
    """An image that an annotator has on the screen: nobody else is asked in their place until it expires."""

    image = models.ForeignKey(Image, models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="assignments")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="assignment_live")]
        constraints = [models.UniqueConstraint(fields=["image", "annotator"], name="assignment_unique")]

    def __str__(self) -> str:
        return f"assignment of image {self.image_id}"


class Label(models.Model):
    """One annotator's answer for one image, given before they saw the model's."""

    class State(models.TextChoices):
        SUBMITTED = "submitted", "Submitted"
        ACCEPTED = "accepted", "Accepted"
        SUPERSEDED = "superseded", "Superseded"

    class Confidence(models.IntegerChoices):
        LOW = 1, "Low"
        MEDIUM = 2, "Medium"
        HIGH = 3, "High"

    image = models.ForeignKey(Image, models.CASCADE, related_name="labels")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="labels")
    dx = models.CharField(max_length=16, choices=LABEL_CHOICES)
    confidence = models.PositiveSmallIntegerField(choices=Confidence)
    note = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.SUBMITTED)
    created_at = models.DateTimeField(auto_now_add=True)
    compared_at = models.DateTimeField(
        null=True, blank=True, help_text="When the annotator asked for the model's answer: from then on it is final"
    )

    class Meta:
        indexes = [
            models.Index(fields=["image"], condition=Q(state="submitted"), name="label_submitted"),
            models.Index(fields=["annotator", "-id"], name="label_newest"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["image", "annotator"], name="label_one_each"),
            models.CheckConstraint(condition=Q(dx__in=[code for code, _ in LABEL_CHOICES]), name="label_dx_known"),
        ]

    def __str__(self) -> str:
        return f"label {self.pk}"


class Consensus(models.Model):
    """What two annotators agree on, or one settled after they had disagreed and nobody was left to ask.

    `result` is the prediction that stood then, to compare with.
    """

    image = models.OneToOneField(Image, models.CASCADE, related_name="consensus")
    dx = models.CharField(max_length=16, choices=LABEL_CHOICES)
    result = models.ForeignKey("inference.Result", models.SET_NULL, null=True, blank=True, related_name="+")
    differs = models.BooleanField(help_text="Whether this is a class, and the prediction's top class is another")
    drawn = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Whether chance chose the image for its annotators, not the model's doubt",
    )
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who settled a disagreement; empty where two agreed",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "consensus"
        indexes = [models.Index(fields=["created_at"], name="consensus_newest")]

    def __str__(self) -> str:
        return f"consensus for image {self.image_id}"
