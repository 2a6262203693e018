"""Administrators read the registry; it is changed by operators on its own pages, where decisions have a gate."""

from django.contrib import admin

from webapp.audit.admin import ReadOnly
from webapp.registry.models import DatasetSnapshot, ModelRelease, TrainingRun


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
