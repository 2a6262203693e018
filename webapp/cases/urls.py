"""Addresses of this room."""

from django.urls import path

from webapp.cases.uploads import put_upload

app_name = "cases"
urlpatterns = [
    path("uploads/<str:token>", put_upload, name="put_upload"),
]
