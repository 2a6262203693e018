"""Addresses of this room."""

from django.urls import path

from webapp.labels import views

app_name = "labels"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("mine/", views.mine, name="mine"),
    path("disagreements/", views.disagreements, name="disagreements"),
    path("images/<uuid:image_id>/", views.answer, name="answer"),
    path("images/<uuid:image_id>/settle/", views.settle, name="settle"),
    path("<int:label_id>/undo/", views.undo, name="undo"),
    path("<int:label_id>/compare/", views.compare, name="compare"),
]
