"""Who was shown which image. What was said of it is a clinic's finding: its own pages show it, and record who looks."""

from django.contrib import admin

from webapp.audit.admin import ReadOnly
from webapp.labels.models import Assignment


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly):
    list_display = ["image_id", "annotator_id", "created_at", "expires_at"]
