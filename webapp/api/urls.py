"""Addresses of the API, version 1."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from webapp.api.views import NoSuchAddress, Root
from webapp.cases.api.batches import BatchViewSet
from webapp.cases.api.cases import CaseViewSet
from webapp.cases.api.images import ImageViewSet
from webapp.reports.api import BatchReportViewSet, CaseReportViewSet
from webapp.webhooks.api import WebhookViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("batches", BatchViewSet, basename="batch")
router.register("images", ImageViewSet, basename="image")
router.register("cases", CaseViewSet, basename="case")
router.register("batches", BatchReportViewSet, basename="batch-report")
router.register("cases", CaseReportViewSet, basename="case-report")
router.register("webhooks", WebhookViewSet, basename="webhook")

app_name = "api"
urlpatterns = [
    path("", Root.as_view(), name="root"),
    path("schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="api:schema", template_name="api_docs.html"), name="docs"),
    *router.urls,
    re_path("", NoSuchAddress.as_view(), name="no_such_address"),
]
