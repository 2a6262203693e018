"""What is uploaded besides single pictures: a ZIP, with what was left out of it, and a file that comes in parts."""

from django.db import models
from django.db.models import Q

from webapp import storage
from webapp.cases.models.batch import Batch
from webapp.cases.models.case import Case
from webapp.leases import Leased


class Archive(Leased):
    """A ZIP of images, with or without a CSV of cases, that a worker unpacks into an open batch."""

    class State(models.TextChoices):
        AWAITING_UPLOAD = "awaiting_upload", "Waiting for upload"
        STORED = "stored", "Waiting to be unpacked"
        EXPANDED = "expanded", "Unpacked"
        REFUSED = "refused", "Refused"

    batch = models.OneToOneField(Batch, models.CASCADE, related_name="archive")
    state = models.CharField(max_length=16, choices=State, default=State.AWAITING_UPLOAD)
    listed = models.BooleanField(default=False, help_text="The batch named its cases before the ZIP came")
    reason = models.CharField(max_length=40, blank=True)
    report = models.JSONField(
        default=list, help_text="Refused entries and rows, the first of them: name, code, sentence"
    )
    capture = models.CharField(max_length=12, choices=Case.Capture, default=Case.Capture.UNKNOWN)
    created_at = models.DateTimeField(auto_now_add=True)
    stored_at = models.DateTimeField(null=True, blank=True)
    forget_at = models.DateTimeField(
        null=True, blank=True, help_text="When the ZIP is deleted again, as no URL for it is valid any more; then empty"
    )

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"], condition=Q(state__in=["awaiting_upload", "stored"]), name="archive_to_end"
            ),
            models.Index(fields=["forget_at"], condition=Q(forget_at__isnull=False), name="archive_to_forget"),
        ]
        constraints = [
            models.CheckConstraint(
                name="archive_refused_has_reason",
                condition=(Q(state="refused") & ~Q(reason="")) | (~Q(state="refused") & Q(reason="")),
            )
        ]

    def __str__(self) -> str:
        return f"archive of batch {self.batch_id}"

    @property
    def key(self) -> str:
        return f"{storage.ARCHIVES}{self.batch_id}.zip"


class MoreLeftOut(models.Model):
    """Some hundred lines for which an archive's report, or a batch's `left_out`, has no room."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="more_left_out")
    lines = models.JSONField(help_text="As in a report: name, code, sentence")

    def __str__(self) -> str:
        return f"left out of batch {self.batch_id}"


class PartedUpload(models.Model):
    """A file that is being sent to storage in parts. It is gone once they are joined, or given up."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200, unique=True, help_text="Of the object in storage")
    upload_id = models.TextField(help_text="The storage's own name of the upload")
    size = models.PositiveBigIntegerField(help_text="Bytes of the whole file")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"parts of {self.key}"
