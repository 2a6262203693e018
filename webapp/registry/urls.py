"""Addresses of this room."""

from django.urls import path

from webapp.registry import views

app_name = "models"
urlpatterns = [
    path("", views.releases, name="releases"),
    path("releases/<int:pk>/", views.release, name="release"),
    path("releases/<int:pk>/loaded/", views.loaded_by, name="release_loaded"),
    path("releases/<int:pk>/promote/", views.promote_release, name="promote"),
    path("releases/<int:pk>/reject/", views.reject_release, name="reject"),
    path("roll-back/<int:pk>/", views.roll_back_release, name="roll_back"),
    path("runs/", views.runs, name="runs"),
    path("runs/start/", views.start, name="start_run"),
    path("runs/<uuid:pk>/", views.run, name="run"),
    path("runs/<uuid:pk>/stop/", views.stop, name="run_stop"),
    path("runs/<uuid:pk>/live/", views.run_live, name="run_live"),
    path("service/", views.service, name="service"),
    path("trace/", views.trace, name="trace"),
]
