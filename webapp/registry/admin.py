"""Administrators read the registry; it is changed by operators on its own pages."""

from django.contrib import admin
from django.http import HttpRequest

from webapp.registry.models import DatasetSnapshot, ModelRelease, TrainingRun


class ReadOnly(admin.ModelAdmin):
    """Rows to look at: a decision made here would have no gate."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(ModelRelease)
class ModelReleaseAdmin(ReadOnly):
    list_display = ["name", "state", "created_at", "decided_at", "decided_by"]
    list_filter = ["state"]


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnly):
    list_display = ["id", "state", "parent", "candidate", "attempt", "created_at", "finished_at"]
    list_filter = ["state"]


@admin.register(DatasetSnapshot)
class DatasetSnapshotAdmin(ReadOnly):
    list_display = ["sha256", "images", "created_at"]
