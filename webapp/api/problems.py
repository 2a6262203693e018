"""Every error of the API has one shape: RFC 9457, `application/problem+json`, with a stable `code`."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from webapp.errors import Problem


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: `type`, `title`, `status`, `detail`, `code`, and `errors` by field where there are."""
    if isinstance(error, Problem):
        return _render(error.status, error.code, error.message, error.details)
    response = exception_handler(error, context)
    if response is None:
        return None  # a fault of ours: Django answers 500 and logs it
    if isinstance(error, exceptions.ValidationError):
        rendered = _render(response.status_code, "invalid", "Some fields are not valid.", {"errors": response.data})
    elif isinstance(error, Http404):
        rendered = _render(404, "not_found", "There is nothing at this address for this client.", {})
    elif isinstance(error, PermissionDenied):
        rendered = _render(403, "permission_denied", "This client may not do that.", {})
    else:
        code = str(error.get_codes()) if isinstance(error, exceptions.APIException) else "error"
        rendered = _render(response.status_code, code, str(response.data.get("detail", error)), {})
    for header in ("Retry-After", "WWW-Authenticate"):
        if header in response.headers:
            rendered[header] = response.headers[header]
    return rendered


def _render(status: int, code: str, detail: str, extra: dict[str, Any]) -> Response:
    body = {
        "type": "about:blank",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        **extra,
    }
    return Response(body, status=status, content_type="application/problem+json")
