"""Cases: their results, their release to the patient, the deletion of their photos, and their erasure."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.consent import choose_training
from webapp.accounts.permissions import Provider, actor_of
from webapp.api.viewsets import ProviderViewSet
from webapp.audit.services import record, record_views
from webapp.cases.api.filters import CaseFilter
from webapp.cases.api.requests import ReleaseRequest, TrainingConsentRequest
from webapp.cases.api.results import CaseDetailSerializer, CaseSerializer, ReleasedCaseSerializer
from webapp.cases.erasure import erase_case
from webapp.cases.models import Case
from webapp.cases.retention import delete_photos
from webapp.cases.review import release_case
from webapp.inference.selectors import with_answers
from webapp.notify.services import reason_not_notified

OF_ONE = {"case_id", "patient_id"}  # a list that is narrowed by one of these is a look at each of its cases


@extend_schema(tags=["cases"])
class CaseViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProviderViewSet[Case]):
    """One lesion of one patient, and the answer for it."""

    permission_classes = [Provider]
    queryset = Case.objects.all()
    filterset_class = CaseFilter

    def get_queryset(self) -> QuerySet[Case]:
        return with_answers(super().get_queryset(), images=self.action != "list")

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return CaseSerializer if self.action == "list" else CaseDetailSerializer

    @extend_schema(summary="Your cases and their results, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        self._record("case.listed", request.query_params.get("batch", ""))
        if request.query_params.keys() & OF_ONE:
            seen = [row["id"] for row in response.data["results"]]
            actor = actor_of(request)
            record_views(actor=actor, action="case.viewed", object_ids=seen, organisation=self.organisation)
        return response

    @extend_schema(summary="One case: its images, their results, and the result of the whole")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        case = self.get_object()
        self._record("case.viewed", case.pk)
        return Response(self.get_serializer(case).data)

    @extend_schema(
        summary="Give the result to the patient, who is told by e-mail",
        description="Of a result that was not released before, the call says that a clinician has read it: its FHIR "
        "report is `final` from then on. One that was released automatically stays `preliminary`, with `reviewed_at` "
        "null, also after the call. To repeat the call changes nothing; where it brings another `note`, which could "
        "only be dropped, the answer is the problem `already_released`.",
        request=ReleaseRequest,
        responses=ReleasedCaseSerializer,
    )
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        said = ReleaseRequest.read(request.data)
        release_case(
            actor=actor_of(request),
            case=self.get_object(),
            note=said["note"],
            answered_at=said["result"],
            opinion=said["opinion"],
        )
        case = self.get_object()
        self._record("case.viewed", case.pk)  # also where it was released before, which changes nothing
        reason = reason_not_notified(case=case)
        problem = {"code": reason.code, "detail": reason.message} if reason else None
        return Response({**self.get_serializer(case).data, "notified": reason is None, "problem": problem})

    @extend_schema(
        summary="Say whether models may learn from the photos of the case's patient",
        description="It holds for all their photos that your organisation has or will send. Without it none is put "
        "before annotators, or into a list that models are trained with, from now on. A patient who has an account "
        "takes a refusal back there: 409 `patients_own_choice`. To repeat the call changes nothing.",
        request=TrainingConsentRequest,
        responses=CaseDetailSerializer,
    )
    @action(detail=True, methods=["post"], url_path="training-consent")
    def training_consent(self, request: Request, pk: str) -> Response:
        patient = self.get_object().patient
        said = TrainingConsentRequest.read(request.data)
        choose_training(actor=actor_of(request), patient=patient, agreed=said["training_consent"])
        case = self.get_object()
        self._record("case.viewed", case.pk)
        return Response(self.get_serializer(case).data)

    @extend_schema(
        summary="Delete the photos of a case, for good",
        description="Every picture and heatmap of the case goes, whatever is being done with it; its results stay. The "
        "images are `purged` from then on, and `deleted_at` says since when. To repeat the call changes nothing.",
        responses={200: CaseDetailSerializer},
    )
    @action(detail=True, methods=["delete"])
    def photos(self, request: Request, pk: str) -> Response:
        delete_photos(actor=actor_of(request), case=self.get_object())
        case = self.get_object()
        self._record("case.viewed", case.pk)
        return Response(self.get_serializer(case).data)

    @extend_schema(
        summary="Erase a case, for good",
        description="Photos, heatmaps, results, review, letters, and whatever was said of the case go; of its patient "
        "too, unless they have another case or an account. An empty row stays, so that the counts of its batch hold: "
        "`erased_at` says since when, and `case_id` and `patient_id` are random. To repeat the call changes nothing. "
        "409 `archive_pending` while a ZIP is being unpacked into its batch, or waits for room in a quota.",
        responses={204: None},
    )
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        erase_case(actor=actor_of(request), case=self.get_object())
        return Response(status=204)

    def _record(self, name: str, object_id: object) -> None:
        record(actor=actor_of(self.request), action=name, object_id=str(object_id)[:64], organisation=self.organisation)
