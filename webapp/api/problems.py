"""Every error of the API has one shape: RFC 9457, `application/problem+json`, with a stable `code`."""

import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views import defaults
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from webapp import storage
from webapp.errors import Problem

CONTENT_TYPE = "application/problem+json"
AWAY = (OperationalError, InterfaceError, RedisError, storage.StorageAway)  # it does not answer, or not in time
AWAY_SECONDS = 10


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: `type`, `title`, `status`, `detail`, `code`, and `errors` where there are several."""
    if isinstance(error, Problem):
        return _render(error)
    if isinstance(error, RequestDataTooBig):
        limit = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) // 1024**2
        return _render(Problem("body_too_large", f"Send at most {limit} MB; split the batch.", status=413))
    response = exception_handler(error, context)
    if response is None:
        return None  # a fault of ours: Django answers 500 and logs it
    if isinstance(error, exceptions.MethodNotAllowed):
        allowed = ", ".join(context["view"].allowed_methods)
        told = f"This address takes {allowed}. /api/v1/docs says what each does."
        rendered = _render(Problem("method_not_allowed", told, status=405))
        rendered["Allow"] = allowed
        return rendered
    if isinstance(error, exceptions.UnsupportedMediaType):
        taken = " or ".join(str(parser.media_type) for parser in context["view"].parser_classes)
        return _render(Problem("unsupported_media_type", f"Send {taken}, and say so in Content-Type.", status=415))
    rendered = _render(_as_problem(error, response))
    for header in ("Retry-After", "WWW-Authenticate"):
        if header in response.headers:
            rendered[header] = response.headers[header]
    return rendered


def problem_json(problem: Problem) -> JsonResponse:
    """The same shape from a view that is not the API's own."""
    return JsonResponse(_body(problem), status=problem.status, content_type=CONTENT_TYPE, headers=problem.headers)


def asks_for_problems(request: HttpRequest) -> bool:
    """Whether a program asks, by an address that people have no page at."""
    return request.path.startswith((reverse("api:root"), "/uploads/"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler of what nobody caught: a problem where a program asked, a page elsewhere.

    503 with Retry-After while a database or storage is away, which passes by itself; else 500, a fault of ours.
    """
    error = sys.exc_info()[1]
    away = isinstance(error, AWAY) and not isinstance(error, storage.ObjectRefused)
    if not asks_for_problems(request):
        if away:
            return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": AWAY_SECONDS})
        return defaults.server_error(request)
    if away:
        told = "A part of the service does not answer just now. Ask again after the seconds in Retry-After."
        return problem_json(Problem("unavailable", told, status=503, retry_after=AWAY_SECONDS))
    return problem_json(Problem("server_error", "Something went wrong here. Try again in a moment.", status=500))


def _as_problem(error: Exception, response: Response) -> Problem:
    status = response.status_code
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flatten(error.get_full_details()))
        return Problem("invalid", "Some fields are not valid. `errors` names each.", status=status, errors=errors)
    if isinstance(error, Http404):
        return Problem("not_found", "There is nothing at this address for this client.", status=status)
    if isinstance(error, exceptions.NotAuthenticated):
        told = "Send an API key: `Authorization: Bearer llk_…`. A provider makes one on the page “API keys”."
        return Problem("not_authenticated", told, status=status)
    if isinstance(error, exceptions.Throttled):
        told = "Too many requests. Wait for the seconds in Retry-After, and send this one again."
        return Problem("throttled", told, status=status)
    if isinstance(error, PermissionDenied):
        return Problem("permission_denied", "This client may not do that.", status=status)
    code = str(error.get_codes()) if isinstance(error, exceptions.APIException) else "error"
    return Problem(code, str(response.data.get("detail", error)), status=status)


def _flatten(details: Any, field: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested errors as one list of `field`, `code` and `message`."""
    if isinstance(details, list):
        for item in details:
            yield from _flatten(item, field)
    elif set(details) == {"message", "code"} and not isinstance(details["code"], dict | list):
        yield {"field": field, "code": str(details["code"]), "message": str(details["message"])}
    else:
        for name, inner in details.items():
            yield from _flatten(inner, f"{field}.{name}" if field else str(name))


def _render(problem: Problem) -> Response:
    return Response(_body(problem), status=problem.status, content_type=CONTENT_TYPE, headers=problem.headers)


def _body(problem: Problem) -> dict[str, Any]:
    return {
        "type": "about:blank",  # RFC 9457, 4.2.1: the title is then that of the status
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        **problem.details,
    }
