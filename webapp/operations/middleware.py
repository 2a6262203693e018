"""Counts and times every request, by the name of its route; and takes no more large ones at once than there is room."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from prometheus_client import Histogram

from webapp.api.problems import asks_for_problems, problem_json
from webapp.errors import Problem
from webapp.pages.requests import asks_for_json, body_length

REQUESTS = Histogram(
    "lesionlens_request_seconds", "Time to answer a request", ["route", "method", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)  # fmt: skip
SHARE = 0.9  # of the folder for temporary files, which others write to as well
SENDERS = 3  # who find room at once, however much each of them sends
WAITED_FOR = 256 * 1024  # a smaller body has come whole to the proxy before a thread is asked for it
EACH = 4  # larger ones that one client may send at once: as many as our pages and the worked client do
HELD = 200 * 1024**2  # bytes in memory of those that are not written to the folder: the process has a gigabyte
IN_ALL = 16  # half of the threads: signing in, and everything else that is small, has the other half
ASK_AGAIN_SECONDS = 15
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


class RoomForBodies:
    """Refuses a large body that would not fit beside those that are arriving, before anybody reads it.

    A thread waits for each for as long as its client takes to send it, so one client sends a few at once, and all of
    them together leave threads to the rest of the site.

    Django writes large files to the folder for temporary files, which is memory on a server: full, it would fail those
    who have sent almost all of theirs. What a request says of its length is kept for it until it is answered, and of
    one person no more than a part of the room: it would be theirs for as long as they send, however slowly.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._lock = Lock()
        self._arriving: dict[HttpRequest, Arriving] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        finally:
            with self._lock:
                self._arriving.pop(request, None)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """None where the view may answer, else what says when to come back, or that this never fits."""
        length = body_length(request)
        if length <= WAITED_FOR:
            return None
        written = length > settings.FILE_UPLOAD_MAX_MEMORY_SIZE and _is_written(request)
        if written:
            folder = shutil.disk_usage(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
            room = SHARE * folder.total
            share, room = room / SENDERS if request.user.is_authenticated else room, min(room, folder.free)
        else:
            share = room = HELD
            length = min(length, settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0)  # a longer one is refused unread
        client = _client(request)
        with self._lock:
            beside = [one for one in self._arriving.values() if one.written == written]
            theirs = [one for one in self._arriving.values() if client and one.client == client]
            in_use = sum(one.length for one in beside)  # nobody knows how much has come of it
            used_by_them = sum(one.length for one in beside if one in theirs)
            has_room = used_by_them + length <= share and in_use + length <= room
            if has_room and len(theirs) < EACH and len(self._arriving) < IN_ALL:
                self._arriving[request] = Arriving(client, length, written)
                return None
        return _refused(request, fits=length <= share)


@dataclass(frozen=True)
class Arriving:
    """A large body: from whom, its bytes, and whether they go to the folder or stay in memory."""

    client: object
    length: int
    written: bool


def _client(request: HttpRequest) -> object:
    """Who sends: somebody who is signed in, or software with a key; None for who puts a file to a signed address."""
    return request.user.pk or request.headers.get("Authorization")


def _is_written(request: HttpRequest) -> bool:
    """Whether a large body goes to the folder: the files of a form, and what is put to an upload's address."""
    put = request.resolver_match is not None and request.resolver_match.view_name == "cases:put_upload"
    return put or request.content_type == "multipart/form-data"


def _refused(request: HttpRequest, *, fits: bool) -> HttpResponse:
    told = "Other files are being sent at this moment, and there is no room for yours. Nothing was saved;"
    problem = Problem("busy", f"{told} send it again in a minute.", status=503, retry_after=ASK_AGAIN_SECONDS)
    if not fits:
        told = "This is more than the site can take at once. Nothing was saved; send fewer files, or smaller ones."
        problem = Problem("body_too_large", told, status=413)
    if asks_for_problems(request):
        return problem_json(problem)
    if asks_for_json(request):
        return JsonResponse({"errors": [problem.message]}, status=problem.status, headers=problem.headers)
    page = render_to_string("no_room.html", {"told": problem.message})
    return HttpResponse(page, status=problem.status, headers=problem.headers)
