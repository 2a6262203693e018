"""What a clinic says of a case, and what is left of that in an erased one: nothing."""

from typing import Any

from django.db import models


class Said(models.Model):
    """The columns of a case that its clinic fills."""

    class Sex(models.TextChoices):
        FEMALE = "female", "Female"
        MALE = "male", "Male"
        OTHER = "other", "Other"
        UNKNOWN = "unknown", "Unknown"

    class Capture(models.TextChoices):
        DERMOSCOPIC = "dermoscopic", "Dermoscopic"
        CLINICAL = "clinical", "Clinical close-up"
        PHONE = "phone", "Phone photo"
        UNKNOWN = "unknown", "Kind not given"

    lesion_id = models.CharField(max_length=100, blank=True, help_text="The same lesion in several cases")
    age = models.PositiveSmallIntegerField(null=True, blank=True)
    sex = models.CharField(max_length=10, choices=Sex, default=Sex.UNKNOWN)
    anatom_site = models.CharField(max_length=60, blank=True)
    capture = models.CharField(max_length=12, choices=Capture, default=Capture.UNKNOWN)
    notes = models.TextField(blank=True)

    class Meta:
        abstract = True


UNSAID: dict[str, Any] = {
    **dict.fromkeys(["lesion_id", "anatom_site", "notes"], ""),
    "age": None,
    "sex": Said.Sex.UNKNOWN.value,
    "capture": Said.Capture.UNKNOWN.value,
}
SAID = tuple(UNSAID)  # kept as it was said
