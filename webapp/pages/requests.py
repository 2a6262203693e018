"""What a request asks for, beyond its address."""

from django.http import HttpRequest


def asks_for_json(request: HttpRequest) -> bool:
    """Whether a script of a page asks, which shows progress and errors itself; without scripts the page is sent."""
    return request.headers.get("Accept") == "application/json"
