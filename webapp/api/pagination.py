"""Pages of a list that stay right while rows are added."""

from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Cursor pagination, newest first, 50 rows a page, up to 500 on request."""

    ordering = ("-created_at", "-pk")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    invalid_cursor_message = "This address of a page is not one that was given. Begin again without `cursor`."

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not _is_time(cursor.position):
            raise NotFound(self.invalid_cursor_message)  # else the database would meet it
        return cursor


class AsSent(NewestFirst):
    """The same in the order of sending, as a manifest has it."""

    ordering = ("created_at", "pk")


def _is_time(position: Any) -> bool:
    try:
        return parse_datetime(position) is not None
    except ValueError:
        return False
