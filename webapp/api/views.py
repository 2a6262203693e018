"""The API's own addresses: its front door, and the answer at addresses that are none."""

from typing import Any, Never

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from webapp.pages.words import NOTICE

DOORS = {
    "batches": "api:batch-list",
    "cases": "api:case-list",
    "webhooks": "api:webhook-list",
    "schema": "api:schema",
    "docs": "api:docs",
}


class Root(APIView):
    """Where everything is."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="root",
        auth=[],
        tags=["api"],
        responses={200: {"type": "object", "additionalProperties": {"type": "string"}}},
    )
    def get(self, request: Request) -> Response:
        """Links to everything in this API."""
        links: dict[str, Any] = {name: reverse(door, request=request) for name, door in DOORS.items()}
        return Response({**links, "notice": NOTICE})


class NoSuchAddress(APIView):
    """Answers 404 as a problem, to any method."""

    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> Never:
        told = "There is nothing at this address. See /api/v1/ for what there is."
        if request.path.endswith("/"):
            told += " No other address ends in a slash."
        raise NotFound(told)
