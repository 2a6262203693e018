"""The audit trail, to look at: `webapp.audit.services` alone writes it."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.audit.models import Event


class ReadOnly(admin.ModelAdmin):
    """Rows to look at: a change made here would go past the services."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ["at", "action", "object_id", "user_id", "api_key_id", "organisation_id"]
    list_filter = ["action"]
