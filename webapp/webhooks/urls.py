"""Addresses of this room."""

from django.urls import path

from webapp.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("", views.endpoints, name="endpoints"),
    path("new/", views.new, name="new"),
    path("<uuid:endpoint_id>/", views.endpoint, name="endpoint"),
    path("<uuid:endpoint_id>/edit/", views.edit, name="edit"),
    path("<uuid:endpoint_id>/rotate/", views.rotate, name="rotate"),
    path("<uuid:endpoint_id>/enable/", views.enable, name="enable"),
    path("<uuid:endpoint_id>/disable/", views.disable, name="disable"),
    path("<uuid:endpoint_id>/remove/", views.remove, name="remove"),
    path("<uuid:endpoint_id>/test/", views.test, name="test"),
    path("<uuid:endpoint_id>/replay-failed/", views.replay_failed, name="replay_failed"),
    path("<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/replay/", views.replay, name="replay"),
]
