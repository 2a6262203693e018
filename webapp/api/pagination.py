"""Pages of a list that stay right while rows are added."""

import re
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from webapp.errors import Problem

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself imports the pagination of the settings

LONGEST = 200  # characters of unknown names that are said again
_WHOLE_NUMBER = re.compile("[1-9][0-9]{0,8}")


class NewestFirst(CursorPagination):
    """Cursor pagination, newest first, 50 rows a page, up to 500 on request."""

    ordering = ("-created_at", "-pk")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    invalid_cursor_message = "This address of a page is not one that was given. Begin again without `cursor`."

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any] | None:
        """The rows of a page.

        Raises Problem `unknown_parameter` and `parameter_invalid`: what was meant to narrow a list, and does not,
        would pass for its answer.
        """
        filterset = getattr(view, "filterset_class", None)
        filters = filterset.base_filters if filterset else ()
        allowed = sorted([self.cursor_query_param, self.page_size_query_param, *filters])
        if unknown := sorted(request.query_params.keys() - {*allowed}):
            raise Problem(
                "unknown_parameter",
                f"{', '.join(unknown)[:LONGEST]} is no parameter of this list. It takes {', '.join(allowed)}.",
                status=400,
                allowed=allowed,
            )
        for name, values in request.query_params.lists():
            if len(values) > 1 or not values[0].strip():
                raise _invalid(f"{name} has no value, or several. Give it one, or leave it out.")
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        """Rows of a page: who asks for more than the most gets the most. Raises Problem `parameter_invalid`."""
        wanted = request.query_params.get(self.page_size_query_param, str(self.page_size))
        if not _WHOLE_NUMBER.fullmatch(wanted):
            raise _invalid(f"{self.page_size_query_param} is a whole number from 1 to {self.max_page_size}.")
        return min(int(wanted), self.max_page_size)  # nothing is passed over: `next` says that there is more

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """What the OpenAPI document says of the parameters, with the bounds of a page."""
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in found:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return found

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not _is_time(cursor.position):
            raise NotFound(self.invalid_cursor_message)  # else the database would meet it
        return cursor


class AsSent(NewestFirst):
    """The same in the order of sending, as a manifest has it."""

    ordering = ("created_at", "pk")


def _invalid(told: str) -> Problem:
    return Problem("parameter_invalid", told, status=400)


def _is_time(position: Any) -> bool:
    try:
        return parse_datetime(position) is not None
    except ValueError:
        return False
