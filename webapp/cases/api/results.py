"""What clients are given of cases and their results."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from ml.classes import DISPLAY_NAMES
from webapp.cases.api.answers import REASON, DeletedAt, QualitySerializer
from webapp.cases.models import Case, Image
from webapp.cases.opinions import CALLS_FOR
from webapp.inference.models import Answer, CaseResult, Result
from webapp.inference.selectors import image_answer
from webapp.pages.words import NOTICE


class ReleaseSerializer(serializers.Serializer[Any]):
    """The model release that answered."""

    name = serializers.CharField()
    bundle_sha256 = serializers.CharField()


class AnswerSerializer(serializers.ModelSerializer[Answer]):
    """What a model release says."""

    probabilities = serializers.DictField(
        child=serializers.FloatField(min_value=0, max_value=1),
        help_text=f"P(class) of the classes that were told apart, among {', '.join(DISPLAY_NAMES)}. For a case whose "
        "images were answered by releases that tell different classes apart: of BENIGN and MALIGNANT",
    )
    malignant = serializers.FloatField(help_text="P(any malignant class): MEL, BCC, AKIEC, SCC, MALIGNANT")
    uncertainty = serializers.FloatField(
        allow_null=True,
        help_text="Standard deviation of P(malignant) over the release's networks; null where it has one, which has no "
        "other to differ from",
    )
    release = ReleaseSerializer()

    class Meta:
        fields = ["advice", "top_class", "malignant", "uncertainty", "probabilities", "release", "created_at"]


class ImageResultSerializer(AnswerSerializer):
    """The answer for one image."""

    class Meta(AnswerSerializer.Meta):
        model = Result
        fields = [*AnswerSerializer.Meta.fields, "preprocessing", "input_sha256"]


class CaseResultSerializer(AnswerSerializer):
    """The answer for a case: its images combined."""

    class Meta(AnswerSerializer.Meta):
        model = CaseResult
        fields = [*AnswerSerializer.Meta.fields, "images"]
        extra_kwargs = {
            "advice": {
                "help_text": "By the mean P(malignant) of its images; at least `routine_referral` where one of them "
                "alone would be referred"
            }
        }


class ReviewSerializer(serializers.Serializer[Any]):
    """Whether a clinician has seen the result, and whether the patient may."""

    state = serializers.ChoiceField(["no_result", "waiting", "released"])
    reviewed_at = serializers.DateTimeField(allow_null=True)
    released_at = serializers.DateTimeField(allow_null=True)
    raised_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When an answer came, among `other_results`, or an `opinion`, that is more urgent than what the "
        "patient was given; null once a clinician has looked again",
    )
    opinion = serializers.ChoiceField(
        list(CALLS_FOR),
        allow_null=True,
        help_text="The malignant class that dermatologists who labelled a picture of the case settled on, where that "
        "calls for more than the advice of `result`; else null. It is no diagnosis",
    )
    note = serializers.CharField()


class CaseSerializer(serializers.ModelSerializer[Case]):
    """One lesion of one patient, with the answer for it."""

    case_id = serializers.CharField(source="external_id", help_text="Your id of the case")
    patient_id = serializers.CharField(
        source="patient.external_id", help_text="Yours, or `unnamed-…` where you gave none"
    )
    result = serializers.SerializerMethodField()
    review = serializers.SerializerMethodField()

    class Meta:
        model = Case
        fields = [
            "id",
            "batch",
            "case_id",
            "patient_id",
            "lesion_id",
            "age",
            "sex",
            "anatom_site",
            "capture",
            "created_at",
            "erased_at",
            "result",
            "review",
        ]
        read_only_fields = fields

    @extend_schema_field(CaseResultSerializer(allow_null=True))
    def get_result(self, case: Case) -> Mapping[str, Any] | None:
        return CaseResultSerializer(case.answer).data if case.answer else None

    @extend_schema_field(ReviewSerializer)
    def get_review(self, case: Case) -> Mapping[str, Any]:
        waiting = "waiting" if case.answer_id else "no_result"
        return {
            "state": "released" if case.released_at else waiting,
            "reviewed_at": case.reviewed_at,
            "released_at": case.released_at,
            "raised_at": case.raised_at,
            "opinion": case.dissent or None,
            "note": case.review_note,
        }


class CaseImageSerializer(serializers.ModelSerializer[Image]):
    """One image of a case, with the answer for it."""

    what_to_do = serializers.CharField(source="advice", help_text="About the refusal, in a sentence")
    quality = QualitySerializer(many=True)
    quality_overridden = serializers.SerializerMethodField(
        help_text="Used against the advice of the quality check, or though it came for another case, too (`quality`)"
    )
    deleted_at = DeletedAt()
    image_url = serializers.SerializerMethodField(help_text="The picture without metadata, as the model saw it")
    heatmap_url = serializers.SerializerMethodField(help_text="Where the model looked")
    result = serializers.SerializerMethodField()
    other_results = serializers.SerializerMethodField(help_text="By other releases, the newest first")

    class Meta:
        model = Image
        fields = [
            "id",
            "filename",
            "state",
            "reason",
            "what_to_do",
            "quality",
            "quality_overridden",
            "sha256",
            "width",
            "height",
            "deleted_at",
            "image_url",
            "heatmap_url",
            "result",
            "other_results",
        ]
        read_only_fields = fields
        extra_kwargs = {"reason": REASON}

    def get_quality_overridden(self, image: Image) -> bool:
        return image.state == Image.State.READY and bool(image.quality)

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_image_url(self, image: Image) -> str | None:
        return self._url("api:image-clean", image) if image.width else None

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_heatmap_url(self, image: Image) -> str | None:
        return self._url("api:image-heatmap", image) if image.width and image_answer(image) else None

    @extend_schema_field(ImageResultSerializer(allow_null=True))
    def get_result(self, image: Image) -> Mapping[str, Any] | None:
        held = image_answer(image)
        return ImageResultSerializer(held).data if held else None

    @extend_schema_field(ImageResultSerializer(many=True))
    def get_other_results(self, image: Image) -> list[Mapping[str, Any]]:
        held = image_answer(image)
        return [ImageResultSerializer(row).data for row in image.results.all() if row != held]

    def _url(self, name: str, image: Image) -> str:
        return reverse(name, args=[image.pk], request=self.context.get("request"))


class CaseDetailSerializer(CaseSerializer):
    """A case with its images."""

    images = CaseImageSerializer(many=True)
    training_consent = serializers.BooleanField(
        source="patient.training_consent", help_text="Whether models may learn from the photos of this patient"
    )
    other_results = serializers.SerializerMethodField(help_text="By other releases, the newest first")
    thresholds = serializers.SerializerMethodField(help_text="P(malignant) from which each advice is given")
    notice = serializers.SerializerMethodField()

    class Meta(CaseSerializer.Meta):
        fields = [
            *CaseSerializer.Meta.fields,
            "notes",
            "training_consent",
            "images",
            "other_results",
            "thresholds",
            "notice",
        ]
        read_only_fields = fields

    @extend_schema_field(CaseResultSerializer(many=True))
    def get_other_results(self, case: Case) -> list[Mapping[str, Any]]:
        return [CaseResultSerializer(row).data for row in case.results.all() if row != case.answer]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}, "nullable": True})
    def get_thresholds(self, case: Case) -> Mapping[str, float] | None:
        return dict(case.answer.release.manifest["thresholds"]) if case.answer else None

    def get_notice(self, case: Case) -> str:
        return NOTICE


class NotNotifiedSerializer(serializers.Serializer[Any]):
    """Why a patient was not told of a result."""

    code = serializers.CharField(help_text="`no_email`, `no_date_of_birth`, `letter_failed` or `link_locked`")
    detail = serializers.CharField(help_text="What to do about it, in a sentence")


class ReleasedCaseSerializer(CaseDetailSerializer):
    """A case whose result the patient may read, and whether they are told so."""

    notified = serializers.BooleanField(read_only=True, help_text="Whether the patient is told by e-mail")
    problem = NotNotifiedSerializer(
        read_only=True, allow_null=True, help_text="Why not; null where the patient is told"
    )

    class Meta(CaseDetailSerializer.Meta):
        fields = [*CaseDetailSerializer.Meta.fields, "notified", "problem"]
