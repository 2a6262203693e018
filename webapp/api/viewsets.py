"""What every viewset of the clinic's API shares: who may enter, and whose rows they meet."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from webapp.accounts.models import Organisation
from webapp.accounts.permissions import actor_of, organisation_of
from webapp.api.pagination import LONGEST
from webapp.api.parsers import is_table
from webapp.audit.services import record_view
from webapp.errors import Problem

M = TypeVar("M", bound=Model)


class ProviderViewSet(GenericViewSet[M]):
    """Only over the rows of one's own organisation: the rest is not found. Each viewset says whom it is for."""

    lookup_value_converter = "uuid"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises Problem `unknown_parameter` where the address of a change says something, which would be passed over:
        only a table has its options there.
        """
        super().initial(request, *args, **kwargs)
        if request.query_params and request.method not in SAFE_METHODS and not is_table(request):
            names = ", ".join(sorted(request.query_params))[:LONGEST]
            told = f"{names} stands in the address, where it says nothing. Send it as a field of the body."
            raise Problem("unknown_parameter", told, status=400, allowed=[])

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """No browser keeps what is not a picture: whoever has the computer next would find it."""
        found = super().finalize_response(request, response, *args, **kwargs)
        found.setdefault("Cache-Control", "private, no-store")
        return found

    @property
    def organisation(self) -> Organisation:
        return organisation_of(self.request)

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):  # the schema is drawn without a request
            return rows.none()
        return rows.filter(organisation=self.organisation)

    def record_view(self, action: str, object_id: object) -> None:
        """That something of the organisation was looked at, unless the same client did so in the last minutes."""
        record_view(actor=actor_of(self.request), action=action, object_id=object_id, organisation=self.organisation)

    def get_object(self) -> M:
        """The row of this address; a list's filters have no say in it."""
        row = get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, row)
        return row
