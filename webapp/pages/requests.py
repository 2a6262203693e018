"""What a request asks for and brings, beyond its address."""

from django.http import HttpRequest


def asks_for_json(request: HttpRequest) -> bool:
    """Whether a script of a page asks, which shows progress and errors itself; without scripts the page is sent."""
    return request.headers.get("Accept") == "application/json"


def body_length(request: HttpRequest) -> int:
    """What the client says of its body's length, in bytes, as Django reads it."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
