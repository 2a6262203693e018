"""What clients are given of batches and images."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import F
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from webapp import storage
from webapp.accounts.permissions import only_reads
from webapp.cases.left_out import MAX_LISTED
from webapp.cases.models import IN_TWO_CASES, NOT_A_LESION, Archive, Batch, Image
from webapp.cases.parts import send_in_parts
from webapp.errors import Problem
from webapp.inference.models import ADVICE_CHOICES, Job
from webapp.inference.selectors import progress

REASON = {
    "help_text": "Stable code of the refusal, such as `corrupt` by its file, `blurred` or `too_far` by the quality "
    f"check, `{IN_TWO_CASES}` where another case of the batch came with the same picture, or `{NOT_A_LESION}` where "
    "the model saw no lesion and gave no answer. Empty while there is none",
}


CUT = f"The first {MAX_LISTED:,}: `GET batches/{{id}}/left-out.csv` has all"


class UploadSerializer(serializers.Serializer[Any]):
    """Where one file goes: send its bytes as the body of `method url`, with `headers`."""

    method = serializers.CharField()
    url = serializers.URLField()
    headers = serializers.DictField(child=serializers.CharField())
    expires_in = serializers.IntegerField(help_text="Seconds. Afterwards ask for a fresh URL")


class PartSerializer(serializers.Serializer[Any]):
    """A part of a file, and where it goes while it is to come."""

    number = serializers.IntegerField(help_text="From 1")
    size = serializers.IntegerField(help_text="Bytes: cut the file into parts of these sizes, in this order")
    upload = UploadSerializer(allow_null=True, help_text="null once the part has arrived")


class PartsSerializer(serializers.Serializer[Any]):
    """A file in parts. Send those that have an `upload`, as many at once as you like, and then complete the file."""

    parts = PartSerializer(many=True)


def parts_of(*, batch_id: uuid.UUID, key: str, size: int) -> dict[str, Any]:
    """What `PartsSerializer` has of a file of `size` bytes. Raises Problem as `send_in_parts` does."""
    return {"parts": [asdict(part) for part in send_in_parts(batch_id=batch_id, key=key, size=size)]}


def upload_of(image: Image, *, size: int | None = None) -> dict[str, Any] | None:
    """Where the image goes, while it is awaited."""
    if image.state != Image.State.AWAITING_UPLOAD:
        return None
    return asdict(storage.upload_target(image.upload_key, size=size))


class DeletedAt(serializers.DateTimeField):
    """When a photo was deleted."""

    def __init__(self) -> None:
        super().__init__(read_only=True, allow_null=True, help_text="When the photo was deleted; null while it was not")


class QualitySerializer(serializers.Serializer[Any]):
    """One thing that the quality check, or the model, did not like."""

    code = serializers.CharField(help_text="As a `reason`")
    advice = serializers.CharField(help_text="What to do about it, in a sentence")


class ImageSerializer(serializers.ModelSerializer[Image]):
    """One image of a batch, and where its file goes while it is awaited."""

    case = serializers.UUIDField(source="case_id")
    case_id = serializers.CharField(source="case.external_id", help_text="Your id of the case")
    what_to_do = serializers.CharField(source="advice", help_text="About the refusal, in a sentence")
    quality = QualitySerializer(many=True)
    deleted_at = DeletedAt()
    upload = serializers.SerializerMethodField()

    class Meta:
        model = Image
        fields = [
            "id",
            "case",
            "case_id",
            "filename",
            "state",
            "reason",
            "what_to_do",
            "quality",
            "deleted_at",
            "upload",
        ]
        read_only_fields = fields
        extra_kwargs = {"reason": REASON}

    @extend_schema_field(UploadSerializer(allow_null=True))
    def get_upload(self, image: Image) -> dict[str, Any] | None:
        request = self.context.get("request")
        return None if request and only_reads(request) else upload_of(image)


class AwaitedImageSerializer(serializers.Serializer[Any]):
    """An image that a manifest named, and where its file goes while it is awaited."""

    id = serializers.UUIDField()
    case_id = serializers.CharField(help_text="Your id of the case")
    filename = serializers.CharField()
    state = serializers.ChoiceField(Image.State.choices)
    upload = UploadSerializer(allow_null=True)


class ImageProblemSerializer(serializers.Serializer[Any]):
    """Why an upload is not complete."""

    code = serializers.CharField(help_text="`upload_missing`, `parts_missing` or `upload_expired`")
    detail = serializers.CharField(help_text="What to do about it, in a sentence")
    parts = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="The numbers of those that are missing"
    )


class CompletedImageSerializer(serializers.Serializer[Any]):
    """What became of one upload that was said to be complete."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(Image.State.choices)
    problem = ImageProblemSerializer(allow_null=True, help_text="null where the upload is complete")


class CompletedSerializer(serializers.Serializer[Any]):
    """What became of each upload that was said to be complete."""

    images = CompletedImageSerializer(many=True)


def completed(image: Image, problem: Problem | None) -> dict[str, Any]:
    """What `CompletedImageSerializer` has of an image. Quick for hundreds."""
    told = problem and {"code": problem.code, "detail": problem.message, **problem.details}
    return {"id": str(image.pk), "state": image.state, "problem": told}


def listed_images(batch: Batch, **only: Any) -> list[dict[str, Any]]:
    """The batch's images in the order of its manifest, as `AwaitedImageSerializer` has them. Quick for thousands."""
    images = (
        batch.images.filter(**only)
        .only("filename", "state", "organisation", "tries", "batch")
        .order_by("created_at", "id")
    )
    return [
        {
            "id": str(image.pk),
            "case_id": image.external_id,
            "filename": image.filename,
            "state": image.state,
            "upload": upload_of(image),
        }
        for image in images.annotate(external_id=F("case__external_id"))
    ]


class ReportLineSerializer(serializers.Serializer[Any]):
    """A file or row of a ZIP that was left out."""

    name = serializers.CharField(help_text="Of the file, or `row` and its number; empty where it is about the whole")
    code = serializers.CharField()
    message = serializers.CharField(help_text="What to do about it, in a sentence")


class ArchiveSerializer(serializers.ModelSerializer[Archive]):
    """A ZIP that is unpacked into a batch, which takes no other in its place."""

    report = ReportLineSerializer(many=True, help_text=f"What was left out, and why it was refused or waits. {CUT}")

    class Meta:
        model = Archive
        fields = ["state", "reason", "report", "created_at"]
        read_only_fields = fields
        extra_kwargs = {"reason": {"help_text": "Stable code of the refusal. Empty while there is none"}}


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """Cases that were sent together."""

    class Meta:
        model = Batch
        fields = [
            "id",
            "name",
            "source",
            "state",
            "remaining",
            "failures",
            "created_at",
            "submitted_at",
            "finished_at",
        ]
        read_only_fields = fields


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a batch is."""

    images = serializers.DictField(child=serializers.IntegerField(), help_text=f"By state: {Image.State.values}")
    jobs = serializers.DictField(child=serializers.IntegerField(), help_text=f"By state: {Job.State.values}")
    advice = serializers.DictField(
        child=serializers.IntegerField(), help_text=f"Cases by advice: {[code for code, _ in ADVICE_CHOICES]}"
    )
    total = serializers.IntegerField(help_text="Images")
    done = serializers.IntegerField()
    remaining = serializers.IntegerField()
    cancelled = serializers.IntegerField(help_text="Left without an answer when the batch was cancelled: not in `done`")
    percent = serializers.IntegerField(
        help_text="Of the images that are done: at the end below 100 only where a cancelled batch left some unanswered"
    )
    per_minute = serializers.IntegerField(allow_null=True, help_text="Images that end a minute, by the last minute")
    seconds_left = serializers.IntegerField(allow_null=True, help_text="An estimate by that pace")


class BatchDetailSerializer(BatchSerializer):
    """A batch and how far it is."""

    left_out = ReportLineSerializer(
        many=True,
        help_text=f"Files of no case that nobody means as pictures: the batch is sent as it is without them. {CUT}",
    )
    progress = ProgressSerializer()
    archive = ArchiveSerializer(allow_null=True)

    class Meta(BatchSerializer.Meta):
        fields = [*BatchSerializer.Meta.fields, "left_out", "progress", "archive"]


def detail_of(batch: Batch) -> Mapping[str, Any]:
    """A batch and how far it is."""
    archive: Archive | None = getattr(batch, "archive", None)
    return {
        **BatchSerializer(batch).data,
        "left_out": batch.left_out,
        "progress": ProgressSerializer(progress(batch)).data,
        "archive": ArchiveSerializer(archive).data if archive else None,
    }


class CreatedBatchSerializer(BatchSerializer):
    """A new batch, and where its files go."""

    images = AwaitedImageSerializer(many=True)
    archive_upload = UploadSerializer(
        allow_null=True,
        help_text="Where the ZIP goes, while it is awaited; afterwards `archive` of the batch says what became of it",
    )

    class Meta(BatchSerializer.Meta):
        fields = [*BatchSerializer.Meta.fields, "images", "archive_upload"]
