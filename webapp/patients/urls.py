"""Addresses of the patient's own pages."""

from django.urls import path

from webapp.patients import join_views, link_views, views

app_name = "patient"
urlpatterns = [
    path("join/<slug:slug>/", join_views.join, name="join"),
    path("my/", views.home, name="home"),
    path("my/photo/", views.photo, name="photo"),
    path("my/training/<uuid:patient_id>/", views.training, name="training"),
    path("my/cases/<uuid:case_id>/", views.case, name="case"),
    path("my/cases/<uuid:case_id>/again/", views.photo, name="photo_again"),
    path("my/cases/<uuid:case_id>/photos/delete/", views.delete, name="photos_delete"),
    path("my/cases/<uuid:case_id>/photos/<uuid:image_id>/", views.image, {"kind": "clean"}, name="image"),
    path(
        "my/cases/<uuid:case_id>/photos/<uuid:image_id>/thumbnail/",
        views.image,
        {"kind": "thumbnail"},
        name="thumbnail",
    ),
    path("results/unknown/", link_views.unknown, name="link_unknown"),
    path("results/open/<uuid:case_id>/", link_views.open_, name="link_open"),
    path("results/renew/<uuid:case_id>/", link_views.renew, name="link_renew"),
    path("results/read/<uuid:case_id>/", link_views.read, name="link_read"),
    path("results/read/<uuid:case_id>/photos/<uuid:image_id>/", link_views.image, name="link_image"),
    path("results/<str:token>/", link_views.arrive, name="link"),
]
