"""JSON of a bounded size."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from webapp.errors import Problem


class BoundedJSON(JSONParser):
    """Refuses a body that is larger than the site takes, and one that is nested without end."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        check_length((parser_context or {})["request"])
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error


def raw_body(request: Request) -> bytes:
    """The body as it was sent. Ask for it before `request.data`."""
    check_length(request)
    return bytes(request.body)


def check_length(request: Request) -> None:
    """Raises Problem `body_too_large`."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > limit:
        raise Problem("body_too_large", f"Send at most {limit // 1024**2} MB of JSON; split the batch.", status=413)
