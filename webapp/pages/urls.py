"""Addresses of this room."""

from django.urls import path

from webapp.pages import views

app_name = "pages"
urlpatterns = [path("", views.home, name="home"), path("favicon.ico", views.favicon, name="favicon")]
