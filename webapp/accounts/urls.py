"""Addresses of this room."""

from django.urls import path

from webapp.accounts import views

app_name = "accounts"
urlpatterns = [
    path("organisation/", views.organisation, name="organisation"),
    path("organisation/keys/", views.api_keys, name="api_keys"),
    path("organisation/keys/<int:key_id>/revoke/", views.revoke_key, name="revoke_key"),
]
