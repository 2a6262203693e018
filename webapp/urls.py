"""Every address of the site, by room."""

from django.contrib import admin
from django.urls import include, path

handler500 = "webapp.api.problems.server_error"

urlpatterns = [
    path("", include("webapp.pages.urls")),
    path("", include("webapp.operations.urls")),
    path("", include("webapp.cases.urls")),
    path("", include("webapp.cases.patient_urls")),
    path("", include("webapp.accounts.urls")),
    path("results/", include("webapp.notify.urls")),
    path("labels/", include("webapp.labels.urls")),
    path("models/", include("webapp.registry.urls")),
    path("audit/", include("webapp.audit.urls")),
    path("api/v1/", include("webapp.api.urls")),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
