"""Addresses of the patient's own pages."""

from django.urls import path

from webapp.cases import patient_join, patient_views

app_name = "patient"
urlpatterns = [
    path("join/<slug:slug>/", patient_join.join, name="join"),
    path("my/", patient_views.home, name="home"),
    path("my/photo/", patient_views.photo, name="photo"),
    path("my/cases/<uuid:case_id>/", patient_views.case, name="case"),
    path("my/cases/<uuid:case_id>/photos/<uuid:image_id>/", patient_views.image, name="image"),
]
