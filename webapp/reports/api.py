"""Results to take away: PDF and tables for people, FHIR for their systems."""

from collections.abc import Callable, Iterator

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from webapp.accounts.permissions import Provider, actor_of
from webapp.api.viewsets import M, ProviderViewSet
from webapp.audit.services import record
from webapp.cases.models import Batch, Case
from webapp.inference.selectors import with_answers
from webapp.reports import exports, fhir
from webapp.reports.batch_report import batch_report
from webapp.reports.case_report import case_report
from webapp.reports.typesetting import Document, as_pdf, in_turn

PDF = "application/pdf"
FHIR_JSON = "application/fhir+json"
BUNDLE = "A FHIR R4 (4.0.1) Bundle of the type `collection`: DiagnosticReports, their Observations, and the model "
BUNDLE += "releases as Devices. A report is `preliminary` until a clinician has released it."


class ReportViewSet(ProviderViewSet[M]):
    """What its reports have in common: each is recorded as taken, and named by the id alone."""

    permission_classes = [Provider]
    kind: str

    def _taken(self, pk: str, form: str) -> None:
        record(
            actor=actor_of(self.request),
            action=f"{self.kind}.results_exported",
            object_id=pk,
            organisation=self.organisation,
            detail=form,
        )

    def _pdf(self, pk: str, document: Callable[[M], Document]) -> HttpResponse:
        found = self.get_object()
        disposition = f'inline; filename="{self.kind}-{pk}.pdf"'
        with in_turn():
            self._taken(pk, "PDF")
            pdf = as_pdf(document(found))
        return HttpResponse(pdf, content_type=PDF, headers={"Content-Disposition": disposition})

    def _stream(
        self, pk: str, form: str, pieces: Iterator[str], *, ending: str, content_type: str
    ) -> StreamingHttpResponse:
        self._taken(pk, form)
        disposition = f'attachment; filename="{self.kind}-{pk}.{ending}"'
        return StreamingHttpResponse(pieces, content_type=content_type, headers={"Content-Disposition": disposition})

    def _bundle(self, pk: str, pieces: Iterator[str]) -> StreamingHttpResponse:
        return self._stream(pk, "FHIR", pieces, ending="fhir.json", content_type=FHIR_JSON)


@extend_schema(tags=["cases"])
class CaseReportViewSet(ReportViewSet[Case]):
    """A case to take away."""

    kind = "case"
    queryset = Case.objects.all()

    def get_queryset(self) -> QuerySet[Case]:
        return with_answers(super().get_queryset().select_related("batch__organisation", "reviewed_by"))

    @extend_schema(
        operation_id="cases_report_pdf", summary="A case as a PDF report", responses={(200, PDF): OpenApiTypes.BINARY}
    )
    @action(detail=True, url_path="report.pdf")
    def pdf(self, request: Request, pk: str) -> HttpResponseBase:
        return self._pdf(pk, case_report)

    @extend_schema(
        summary="A case as a FHIR Bundle", description=BUNDLE, responses={(200, FHIR_JSON): OpenApiTypes.OBJECT}
    )
    @action(detail=True)
    def fhir(self, request: Request, pk: str) -> HttpResponseBase:
        return self._bundle(pk, fhir.case_bundle(self.get_object()))


@extend_schema(tags=["batches"])
class BatchReportViewSet(ReportViewSet[Batch]):
    """A batch to take away."""

    kind = "batch"
    queryset = Batch.objects.select_related("organisation")

    @extend_schema(
        operation_id="batches_report_pdf",
        summary="A batch as a PDF report",
        responses={(200, PDF): OpenApiTypes.BINARY},
    )
    @action(detail=True, url_path="report.pdf")
    def pdf(self, request: Request, pk: str) -> HttpResponseBase:
        return self._pdf(pk, batch_report)

    @extend_schema(
        summary="A batch as a FHIR Bundle", description=BUNDLE, responses={(200, FHIR_JSON): OpenApiTypes.OBJECT}
    )
    @action(detail=True)
    def fhir(self, request: Request, pk: str) -> HttpResponseBase:
        return self._bundle(pk, fhir.batch_bundle(self.get_object()))

    @extend_schema(
        operation_id="batches_results_csv",
        summary="Results as CSV, one row a case",
        description="An id that begins with `=`, `+`, `-` or `@` has a `'` before it, so that no spreadsheet takes it "
        "for a formula. Match rows by `case`, our id of the case, or take the JSON.",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    @action(detail=True, url_path="results.csv")
    def csv(self, request: Request, pk: str) -> HttpResponseBase:
        rows = exports.as_csv(self.get_object())
        return self._stream(pk, "CSV", rows, ending="csv", content_type="text/csv; charset=utf-8")

    @extend_schema(
        operation_id="batches_results_json",
        summary="Results as JSON, one object a case",
        responses={200: exports.AS_JSON},
    )
    @action(detail=True, url_path="results.json")
    def json(self, request: Request, pk: str) -> HttpResponseBase:
        rows = exports.as_json(self.get_object())
        return self._stream(pk, "JSON", rows, ending="json", content_type="application/json")
