"""What clients send. Rows of a manifest are described here and read by `webapp.cases.manifest`, thousands at a time."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from webapp.api.bodies import Body
from webapp.api.choices import OneOf
from webapp.cases.manifest.fields import MAX_AGE, MAX_IMAGES, MAX_NOTES
from webapp.cases.manifest.sites import HAM10000
from webapp.cases.models import Case

IMAGES = "Names of files: JPEG, PNG, WebP, TIFF, HEIC or DICOM, each of up to 25 MB and 50 million pixels"
FEMALE_BACK = {"case_id": "A-1", "patient_id": "P-7", "age": 61, "sex": "female", "anatom_site": "back"}
TWO_CASES = [{**FEMALE_BACK, "images": ["a1.jpg", "a1 detail.jpg"]}, {"case_id": "B-1", "images": ["b1.jpg"]}]


class CaseRequest(serializers.Serializer[None]):
    """One lesion of one patient."""

    case_id = serializers.CharField(max_length=100, help_text="Your id of the case, once in a batch")
    patient_id = serializers.CharField(
        max_length=100,
        required=False,
        help_text="Names one person in all your batches. Left out: a new patient, the same for the cases of the "
        "request with one `lesion_id`, e-mail address and date of birth",
    )
    lesion_id = serializers.CharField(max_length=100, required=False, help_text="The same lesion in several cases")
    age = serializers.IntegerField(min_value=0, max_value=MAX_AGE, required=False, allow_null=True)
    sex = serializers.ChoiceField(
        Case.Sex.choices, required=False, help_text="Also F, M, O and U, in small letters or large"
    )
    anatom_site = serializers.CharField(
        max_length=60,
        required=False,
        help_text=f"A part of the body: {', '.join(HAM10000)}, a site of ISIC, or one more exact, as left forearm",
    )
    capture = serializers.ChoiceField(Case.Capture.choices, required=False)
    notes = serializers.CharField(max_length=MAX_NOTES, required=False)
    patient_email = serializers.EmailField(
        required=False, help_text="Told when the result is released; needs the date of birth"
    )
    patient_date_of_birth = serializers.DateField(required=False, help_text="Opens the result's link")
    training_consent = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Whether models may learn from this patient's photos, in all your batches. Left out: as was said "
        "before, and yes of a new patient",
    )
    images = serializers.ListField(
        child=serializers.CharField(max_length=255), min_length=1, max_length=MAX_IMAGES, help_text=IMAGES
    )


class CasesOptions(Body):
    """Further cases, apart from the cases."""

    also = ("cases",)
    capture = OneOf(
        Case.Capture.choices,
        required=False,
        default=Case.Capture.UNKNOWN,
        help_text="Of the cases that do not say",
    )


@extend_schema_serializer(examples=[OpenApiExample("Two cases", {"cases": TWO_CASES})])
class CasesRequest(CasesOptions):
    """Further cases of an open batch."""

    cases = CaseRequest(many=True, help_text="Up to 10,000 cases with 20,000 images in all")


class BatchOptions(CasesOptions):
    """A batch, apart from its cases."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    archive = serializers.BooleanField(
        required=False,
        default=False,
        help_text="A ZIP will be uploaded. Without `cases`, its table or its files are the cases; with them it brings "
        "their images",
    )
    archive_size = serializers.IntegerField(
        min_value=1, required=False, help_text="Bytes of that ZIP. Its URL then takes a file of this size and no other"
    )
    capture = OneOf(
        Case.Capture.choices,
        required=False,
        default=Case.Capture.UNKNOWN,
        help_text="Of the cases, and of the pictures of an archive, that do not say",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raises ValidationError where the size is of an archive that is not to come."""
        if "archive_size" in attrs and not attrs.get("archive"):
            raise serializers.ValidationError({"archive_size": "Say `archive`: true with it."})
        return attrs


@extend_schema_serializer(examples=[OpenApiExample("Two cases", {"name": "Tuesday", "cases": TWO_CASES})])
class BatchRequest(BatchOptions):
    """A batch and its cases."""

    cases = CaseRequest(many=True, required=False, help_text="Up to 10,000 cases with 20,000 images in all")


class SubmitRequest(Body):
    """How a batch is submitted."""

    allow_missing = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Go on without what was not uploaded, or was left out of an archive",
    )


class CompleteRequest(Body):
    """Which files of a batch have been uploaded."""

    images = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=500, help_text="Ids of images of the batch"
    )


class ArchiveRequest(Body):
    """How an archive is unpacked."""

    capture = OneOf(
        Case.Capture.choices,
        required=False,
        help_text="Of the pictures of an archive without a table, where it is not as you said for the batch",
    )


class PartsRequest(Body):
    """A file that will come in parts."""

    size = serializers.IntegerField(min_value=1, help_text="Bytes of the whole file")


class UploadUrlRequest(Body):
    """What a fresh URL should insist on."""

    size = serializers.IntegerField(
        min_value=1, required=False, help_text="Bytes. The URL then takes a file of this size and no other"
    )


class TrainingConsentRequest(Body):
    """What a patient says of their photos."""

    training_consent = serializers.BooleanField(help_text="Whether models may learn from them")


class ReleaseRequest(Body):
    """What goes to the patient with the result."""

    note = serializers.CharField(
        max_length=MAX_NOTES, required=False, allow_blank=True, default="", help_text="Shown to the patient"
    )
    result = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The `created_at` of the result that your clinician has read, to the microsecond, which is "
        "`answered_at` in the exports: with it no other one is released, and where another holds by then the answer is "
        "the problem `answer_changed`",
    )
    opinion = serializers.CharField(
        max_length=10,
        required=False,
        allow_blank=True,
        default="",
        help_text="The `review.opinion` that your clinician has read: without it, or with another, a result that "
        "dermatologists find too low is not released, and the answer is the problem `opinion_unread`",
    )
