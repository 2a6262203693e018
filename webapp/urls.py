"""Every address of the site, by room."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # Django's has no second factor
admin.site.site_header = admin.site.site_title = "LesionLens"

handler500 = "webapp.api.problems.server_error"

urlpatterns = [
    path("", include("webapp.pages.urls")),
    path("", include("webapp.operations.urls")),
    path("", include("webapp.cases.urls")),
    path("results/", include("webapp.notify.urls")),  # before the links, which take any word after results/
    path("", include("webapp.patients.urls")),
    path("", include("webapp.accounts.urls")),
    path("webhooks/", include("webapp.webhooks.urls")),
    path("labels/", include("webapp.labels.urls")),
    path("models/", include("webapp.registry.urls")),
    path("audit/", include("webapp.audit.urls")),
    path("api/v1/", include("webapp.api.urls")),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
