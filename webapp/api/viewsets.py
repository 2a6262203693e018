"""What every viewset of the clinic's API shares: who may enter, and whose rows they meet."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.viewsets import GenericViewSet

from webapp.accounts.models import Organisation
from webapp.accounts.permissions import organisation_of

M = TypeVar("M", bound=Model)


class ProviderViewSet(GenericViewSet[M]):
    """Only over the rows of one's own organisation: the rest is not found. Each viewset says whom it is for."""

    lookup_value_converter = "uuid"

    @property
    def organisation(self) -> Organisation:
        return organisation_of(self.request)

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):  # the schema is drawn without a request
            return rows.none()
        return rows.filter(organisation=self.organisation)

    def get_object(self) -> M:
        """The row of this address; a list's filters have no say in it."""
        row = get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, row)
        return row
