"""The labels, to look at: they are changed by annotators alone."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from webapp.labels.models import Assignment, Consensus, Label


class ReadOnly(admin.ModelAdmin):
    """Shows rows and changes none."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly):
    list_display = ["image_id", "annotator_id", "created_at", "expires_at"]


@admin.register(Label)
class LabelAdmin(ReadOnly):
    list_display = ["id", "image_id", "annotator_id", "dx", "confidence", "state", "created_at"]
    list_filter = ["dx", "state"]


@admin.register(Consensus)
class ConsensusAdmin(ReadOnly):
    list_display = ["image_id", "dx", "differs", "created_at"]
    list_filter = ["dx", "differs"]
