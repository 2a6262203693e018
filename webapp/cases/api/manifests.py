"""The manifest that a request brings, with what is said beside it, and how its mistakes are answered."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from webapp.api.parsers import Table, a_turn, is_table
from webapp.api.problems import CONTENT_TYPE
from webapp.cases.manifest.mistakes import RowsRefused, error_table
from webapp.cases.manifest.reading import Manifest, from_csv, from_json, of_request
from webapp.errors import Problem


def options_of(request: Request) -> Any:
    """What is said beside the cases: in the body, or in the address where that is a table."""
    return request.query_params.dict() if is_table(request) else request.data


def manifest_of(request: Request, *, capture: str, archive: bool = False) -> Manifest:
    """The manifest in a request's body, a table or JSON; an `archive` may bring the cases instead."""
    body: Any = request.data
    if is_table(request):
        with a_turn(len(body)):
            return of_request(from_csv(body or b"", capture=capture))
    rows = body.get("cases")
    if archive and rows in (None, []):
        return Manifest()
    return of_request(from_json(rows, capture=capture))


def as_asked(request: Request, refused: RowsRefused) -> HttpResponse:
    """The mistakes as a table, where the client would rather have one than JSON. Raises them otherwise."""
    if request.get_preferred_type([CONTENT_TYPE, "application/json", Table.media_type]) != Table.media_type:
        raise refused
    return HttpResponse(error_table(refused.errors), status=refused.status, content_type="text/csv; charset=utf-8")


def idempotency_key(request: Request) -> str | None:
    """The client's, by which a repeat is known. Raises Problem `idempotency_key_invalid`."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 200 and key.isprintable()):
        raise Problem(
            "idempotency_key_invalid", "Send an Idempotency-Key of 1 to 200 printable characters.", status=400
        )
    return key
