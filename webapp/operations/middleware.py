"""Counts and times every request, by the name of its route."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

REQUESTS = Histogram(
    "lesionlens_request_seconds", "Time to answer a request", ["route", "method", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)  # fmt: skip
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestMetrics:
    """Observes each request's time under its route's name, never its path: a path may hold ids."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        route = request.resolver_match.view_name if request.resolver_match else "unknown"
        method = request.method if request.method in METHODS else "other"  # a client may send any word
        REQUESTS.labels(route, method, response.status_code).observe(time.perf_counter() - started)
        return response
