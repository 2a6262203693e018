"""Bodies of a bounded size: JSON, and tables as they come."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request


class BoundedJSON(JSONParser):
    """Refuses a body that is larger than the site takes, and one that is nested without end. An empty one says nothing,
    as none does.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _check_length(parser_context)
        try:
            body = stream.read()
            return super().parse(BytesIO(body), media_type, parser_context) if body else {}
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error


class Table(BaseParser):
    """The bytes of a CSV table, which its reader understands as text."""

    media_type = "text/csv"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _check_length(parser_context)
        return bytes(stream.read())


def is_table(request: Request) -> bool:
    """Whether a client sends a table, which may be empty: then no parser is asked and the data are no bytes."""
    return request.content_type.partition(";")[0].strip().lower() == Table.media_type


def _check_length(parser_context: Mapping[str, Any] | None) -> None:
    length = (parser_context or {})["request"].META.get("CONTENT_LENGTH") or "0"
    if int(length) > (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0):
        raise RequestDataTooBig
