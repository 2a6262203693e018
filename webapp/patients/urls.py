"""Addresses of the patient's own pages."""

from django.urls import path

from webapp.patients import join, views

app_name = "patient"
urlpatterns = [
    path("join/<slug:slug>/", join.join, name="join"),
    path("my/", views.home, name="home"),
    path("my/photo/", views.photo, name="photo"),
    path("my/cases/<uuid:case_id>/", views.case, name="case"),
    path("my/cases/<uuid:case_id>/photos/delete/", views.delete, name="photos_delete"),
    path("my/cases/<uuid:case_id>/photos/<uuid:image_id>/", views.image, name="image"),
]
