"""Batches: made from a manifest or an archive, submitted, watched."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp import storage
from webapp.accounts.permissions import Provider, actor_of
from webapp.api.pagination import AsSent
from webapp.api.parsers import BoundedJSON, Table, is_table
from webapp.api.viewsets import ProviderViewSet
from webapp.audit.services import record
from webapp.cases import archives, left_out, services
from webapp.cases.api.answers import (
    ArchiveSerializer,
    AwaitedImageSerializer,
    BatchDetailSerializer,
    BatchSerializer,
    CompletedSerializer,
    CreatedBatchSerializer,
    ImageSerializer,
    PartsSerializer,
    completed,
    detail_of,
    listed_images,
    parts_of,
)
from webapp.cases.api.filters import BatchFilter, ImageFilter
from webapp.cases.api.manifests import as_asked, idempotency_key, manifest_of, options_of
from webapp.cases.api.requests import (
    ArchiveRequest,
    BatchOptions,
    BatchRequest,
    CasesOptions,
    CasesRequest,
    CompleteRequest,
    PartsRequest,
    SubmitRequest,
)
from webapp.cases.manifest.mistakes import RowsRefused
from webapp.cases.models import Batch
from webapp.cases.parts import give_up_parts
from webapp.cases.upload_limits import awaits_archive, check_size
from webapp.cases.uploads import complete_uploads
from webapp.errors import Problem
from webapp.inference import reruns

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Any text of yours, up to 200 characters: the same bytes with it make no second batch.",
)

CAPTURE = OpenApiParameter("capture", OpenApiTypes.STR, description="With a CSV table: of the rows that do not say")
TABLE_OPTIONS = [
    OpenApiParameter("name", OpenApiTypes.STR, description="With a CSV table: the batch's name"),
    OpenApiParameter("archive", OpenApiTypes.BOOL, description="With a CSV table: a ZIP will bring the images"),
    OpenApiParameter("archive_size", OpenApiTypes.INT, description="With a CSV table: bytes of that ZIP"),
    CAPTURE,
]


@extend_schema_view(list=extend_schema(summary="Your batches, newest first"))
@extend_schema(tags=["batches"])
class BatchViewSet(mixins.ListModelMixin, ProviderViewSet[Batch]):
    """Cases that are sent together."""

    permission_classes = [Provider]
    parser_classes = [BoundedJSON, Table]
    queryset = Batch.objects.all()
    serializer_class: type[serializers.BaseSerializer[Any]] = BatchSerializer
    filterset_class = BatchFilter

    def get_queryset(self) -> QuerySet[Batch]:
        batches = super().get_queryset()
        return batches.select_related("archive") if self.action == "retrieve" else batches

    @extend_schema(
        summary="Make a batch",
        description="The answer names every image and where its file goes. 201 for a new batch, 200 for a repeat, with "
        "fresh URLs for what is still awaited. The cases come as JSON, or as a CSV table with a header: then `name`, "
        "`archive` and `capture` stand in the address. Every row is checked before anything is stored, also against "
        "what is known of its patient (`patient_conflict`); with `Accept: text/csv` the mistakes come as a table too.",
        parameters=[IDEMPOTENCY_KEY, *TABLE_OPTIONS],
        request={"application/json": BatchRequest, "text/csv": OpenApiTypes.STR},
        responses={201: CreatedBatchSerializer, 200: CreatedBatchSerializer, (422, "text/csv"): OpenApiTypes.STR},
    )
    def create(self, request: Request) -> Response | HttpResponse:
        body = request.body  # before it is parsed
        options = BatchOptions.read(options_of(request))
        if size := options.pop("archive_size", None):
            check_size(storage.ARCHIVES, size)
        found = manifest_of(request, capture=options["capture"], archive=options["archive"])
        submission = services.Submission(
            source=Batch.Source.API,
            **options,
            idempotency_key=idempotency_key(request),
            manifest=request.META["QUERY_STRING"].encode() + b"\n" + body if is_table(request) else body,
        )
        try:
            batch, is_new = services.create_batch(
                actor=actor_of(request), organisation=self.organisation, submission=submission, cases=found.checked()
            )
        except RowsRefused as refused:
            return as_asked(request, refused)
        awaited = options["archive"] and awaits_archive(batch)
        upload = asdict(storage.upload_target(archives.key_of(batch), size=size)) if awaited else None
        answer = {**BatchSerializer(batch).data, "images": listed_images(batch), "archive_upload": upload}
        return Response(answer, status=201 if is_new else 200)

    @extend_schema(summary="One batch and how far it is", responses=BatchDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(detail_of(self._viewed()))

    @extend_schema(summary="The images of a batch", filters=True, responses=ImageSerializer(many=True))
    @action(
        detail=True,
        filterset_class=ImageFilter,
        serializer_class=ImageSerializer,
        pagination_class=AsSent,
    )
    def images(self, request: Request, pk: str) -> Response:
        rows = self._viewed().images.select_related("case")
        page = self.paginate_queryset(self.filter_queryset(rows))  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        summary="Add cases to an open batch",
        description="201 for new cases; 200 where each of them is there already, with the same fields and files: a "
        "request whose answer was lost can be repeated. Cases as for a new batch; with a CSV table `capture` stands in "
        "the address.",
        parameters=[CAPTURE],
        request={"application/json": CasesRequest, "text/csv": OpenApiTypes.STR},
        responses={
            201: AwaitedImageSerializer(many=True),
            200: AwaitedImageSerializer(many=True),
            (422, "text/csv"): OpenApiTypes.STR,
        },
    )
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    def cases(self, request: Request, pk: str) -> Response | HttpResponse:
        batch = self.get_object()
        found = manifest_of(request, capture=CasesOptions.read(options_of(request))["capture"])
        actor = actor_of(request)
        try:
            specs = found.checked()
            is_new = services.add_cases(batch=batch, cases=specs)
        except RowsRefused as refused:
            return as_asked(request, refused)
        if is_new:
            record(actor=actor, action="batch.cases_added", object_id=batch.pk, organisation=batch.organisation)
        return Response(
            listed_images(batch, case__external_id__in=[spec.external_id for spec in specs]),
            status=201 if is_new else 200,
        )

    @extend_schema(
        summary="Say that several files have been uploaded",
        description="Up to 500 images, in place of one `POST /api/v1/images/{id}/complete` for each. Those whose file "
        "has arrived go on; each of the others is answered with a `problem`, and can be sent and completed again. To "
        "repeat the call changes nothing. 422 `images_unknown` where one is not of this batch: then none goes on.",
        request=CompleteRequest,
        responses=CompletedSerializer,
    )
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSON])
    def complete(self, request: Request, pk: str) -> Response:
        batch = self.get_object()
        ids = dict.fromkeys(CompleteRequest.read(request.data)["images"])
        images = batch.images.only("state", "batch", "organisation", "tries").in_bulk(ids)
        if unknown := [str(image) for image in ids if image not in images]:
            raise Problem("images_unknown", "Send ids of images of this batch only.", status=422, image_ids=unknown)
        problems = complete_uploads(images=list(images.values()))
        return Response({"images": [completed(images[image], problems.get(image)) for image in ids]})

    @extend_schema(summary="Send a batch to the model", request=SubmitRequest, responses=BatchDetailSerializer)
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSON])
    def submit(self, request: Request, pk: str) -> Response:
        options = SubmitRequest.read(request.data)
        batch = services.submit_batch(
            actor=actor_of(request), batch=self.get_object(), allow_missing=options["allow_missing"]
        )
        return self._changed(batch)

    @extend_schema(
        summary="Stop a batch",
        description="One that was complete before, and awaits a second run, is complete again and not `cancelled`.",
        request=None,
        responses=BatchDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._changed(services.cancel_batch(actor=actor_of(request), batch=self.get_object()))

    @extend_schema(
        summary="Try the images that failed once more",
        description="Those that failed for a reason that may pass: at the model, or, for some hours after, at their "
        "check (`inspection_failed`, `storage_refused`); not those that were refused. Also while others are in "
        "progress. 409 `nothing_failed` where there is none.",
        request=None,
        responses=BatchDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def rerun(self, request: Request, pk: str) -> Response:
        return self._changed(reruns.rerun_failed(actor=actor_of(request), batch=self.get_object()))

    @extend_schema(
        summary="Send every answered image to the active release",
        description="Both answers are kept. What is released to a patient does not change. 409 `already_scored` where "
        "the active release has answered, or is about to.",
        request=None,
        responses=BatchDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def rescore(self, request: Request, pk: str) -> Response:
        return self._changed(reruns.rescore(actor=actor_of(request), batch=self.get_object()))

    @extend_schema(
        summary="Say that the archive has been uploaded",
        description="It is unpacked in the background; watch `archive` and `progress` of the batch, then submit it.",
        request=ArchiveRequest,
        responses={202: ArchiveSerializer},
    )
    @action(detail=True, methods=["post"], url_path="archive/complete", parser_classes=[BoundedJSON])
    def complete_archive(self, request: Request, pk: str) -> Response:
        options = ArchiveRequest.read(request.data)
        archive = archives.complete_archive(
            actor=actor_of(request), batch=self.get_object(), capture=options.get("capture", "")
        )
        return Response(ArchiveSerializer(archive).data, status=202)

    @extend_schema(
        summary="Where the parts of the archive go",
        description="For archives above 8 MB, or where connections break. Ask again at any time to learn which parts "
        "have not arrived, with fresh URLs; another `size` begins anew. Then say that the archive has been uploaded.",
        request=PartsRequest,
        responses=PartsSerializer,
    )
    @action(detail=True, methods=["post"], url_path="archive/parts", parser_classes=[BoundedJSON])
    def archive_parts(self, request: Request, pk: str) -> Response:
        batch = self.get_object()
        size = PartsRequest.read(request.data)["size"]
        return Response(parts_of(batch_id=batch.pk, key=archives.key_of(batch), size=size))

    @extend_schema(
        operation_id="batches_left_out_csv",
        summary="All that was left out, as CSV",
        description="Every line of `archive.report` and `left_out` of the batch, which have only the first of them, "
        "and one for each file that the table of a ZIP names and the ZIP lacks: `name`, `code` and `message`. A text "
        "that begins with `=`, `+`, `-` or `@` has a `'` before it, so that no spreadsheet takes it for a formula.",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    @action(detail=True, url_path="left-out.csv")
    def left_out(self, request: Request, pk: str) -> StreamingHttpResponse:
        disposition = f'attachment; filename="batch-{pk}-left-out.csv"'
        return StreamingHttpResponse(
            left_out.as_csv(self._viewed()),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": disposition},
        )

    @extend_schema(summary="Forget the parts of the archive that have arrived", responses={204: None})
    @archive_parts.mapping.delete
    def forget_archive_parts(self, request: Request, pk: str) -> Response:
        give_up_parts(key=archives.key_of(self.get_object()))
        return Response(status=204)

    def _viewed(self) -> Batch:
        """The batch of this address, whose findings are looked at: how many cases have each advice is one."""
        batch = self.get_object()
        self.record_view("batch.viewed", batch.pk)
        return batch

    def _changed(self, batch: Batch) -> Response:
        """How far a batch is that was changed, or was so before: a look at its findings where there are some."""
        detail = detail_of(batch)
        if any(detail["progress"]["advice"].values()):
            self.record_view("batch.viewed", batch.pk)
        return Response(detail)
