"""Bodies of a bounded size: JSON, and tables as they come."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from json import JSONDecodeError
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.utils import json

from webapp.errors import Problem
from webapp.slots import a_slot

# A value takes up to a hundred times its bytes in memory. The largest manifest has 140,000, and commas in its notes.
MOST_VALUES = 500_000
SMALL_BYTES = 64 * 1024  # a body that needs no turn: all threads of the process may build one at once
TURN = threading.Semaphore(1)  # to build one that is larger, in each process of the site
TURN_SECONDS = 10.0
ITS_RULES = "Names and texts stand in double quotes, and a comma between two values: none after the last."


@contextmanager
def a_turn(size: int) -> Iterator[None]:
    """Hold this process's turn to build the values of a body or table of so many bytes; a small one needs none.

    It is read before, because its sender may be slow. Raises Problem `busy` where the turn does not come soon.
    """
    if size <= SMALL_BYTES:
        yield
        return
    with a_slot(TURN, seconds=TURN_SECONDS):
        yield


class BoundedJSON(JSONParser):
    """Refuses a body that is larger than the site takes, and one of too many values. An empty one says nothing, as
    none does.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _check_length(parser_context)
        body = stream.read()
        if len(body) > SMALL_BYTES:
            check_values(body)
        with a_turn(len(body)):
            return read_json(body) if body else {}


def read_json(body: bytes) -> Any:
    """The values in JSON. Raises ParseError, which says where it is none and what to do.

    It is UTF-8 (RFC 8259), whatever charset is said: in another its marks would not be those that were counted. Some
    programs of Windows begin it with a byte order mark.
    """
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError as error:
        raise ParseError("The JSON is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise ParseError("This is not UTF-8, as JSON must be. Save it as UTF-8 and send it again.") from error
    except JSONDecodeError as error:
        raise ParseError(f"This is no JSON: {error}. {ITS_RULES}") from error
    except ValueError as error:  # NaN, Infinity, and numbers of thousands of digits
        raise ParseError(f"This is no JSON: {error}.") from error


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


def check_values(body: bytes) -> None:
    """Raises Problem `too_many_values`, before any of JSON's values is built: each follows a bracket, a brace or a
    comma.
    """
    if sum(body.count(mark) for mark in (b"[", b"{", b",")) > MOST_VALUES:
        message = f"Send at most {MOST_VALUES:,} values in one request, each comma in a text counted as one, "
        raise Problem("too_many_values", f"{message}and the rest with another.", status=413)
