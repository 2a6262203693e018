"""Addresses of the outbox as a clinic sees it."""

from django.urls import path

from webapp.notify import views

app_name = "notify"
urlpatterns = [
    path("messages/", views.failed_messages, name="messages"),
    path("messages/<int:pk>/send-again/", views.send_again, name="send_again"),
]
