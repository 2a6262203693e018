"""Who viewed or changed what, and when. Rows are only added; those of an erased case forget who its patient was."""

from django.conf import settings
from django.db import models


class Event(models.Model):
    """One thing that a person, a clinic's software or the system did. Holds ids, never findings or names."""

    FORGOTTEN = "account forgotten"  # the detail of what the patient of an erased case did
    LEFT = "account deleted"  # the end of the detail of what somebody did whose account is there no more

    at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    api_key = models.ForeignKey("accounts.ApiKey", models.SET_NULL, null=True, blank=True, related_name="+")
    organisation = models.ForeignKey("accounts.Organisation", models.SET_NULL, null=True, blank=True, related_name="+")
    action = models.CharField(max_length=40, help_text="Such as case.viewed, case.released, release.promoted")
    object_id = models.CharField(max_length=64)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "-at"], name="audit_newest"),
            models.Index(fields=["object_id"], name="audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}"

    @property
    def words(self) -> str:
        """The action as people read it: "Case viewed"."""
        return self.action.replace(".", " ").replace("_", " ").capitalize().replace("Api", "API")
