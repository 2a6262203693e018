"""Addresses of result links, and of the outbox as a clinic sees it."""

from django.urls import path

from webapp.notify import views

app_name = "results"
urlpatterns = [
    path("open/", views.open_, name="open"),
    path("renew/", views.renew, name="renew"),
    path("read/<uuid:case_id>/", views.read, name="read"),
    path("read/<uuid:case_id>/photos/<uuid:image_id>/", views.image, name="image"),
    path("messages/", views.failed_messages, name="messages"),
    path("messages/<int:pk>/send-again/", views.send_again, name="send_again"),
    path("<str:token>/", views.arrive, name="arrive"),
]
