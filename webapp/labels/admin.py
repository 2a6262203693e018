"""The labels, to look at: they are changed by annotators alone."""

from django.contrib import admin

from webapp.audit.admin import ReadOnly
from webapp.labels.models import Assignment, Consensus, Label


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly):
    list_display = ["image_id", "annotator_id", "created_at", "expires_at"]


@admin.register(Label)
class LabelAdmin(ReadOnly):
    list_display = ["id", "image_id", "annotator_id", "dx", "confidence", "state", "created_at"]
    list_filter = ["dx", "state"]


@admin.register(Consensus)
class ConsensusAdmin(ReadOnly):
    list_display = ["image_id", "dx", "differs", "drawn", "created_at"]
    list_filter = ["dx", "differs", "drawn"]
