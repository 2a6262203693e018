"""What every page knows."""

from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    """The role of who is looking, which decides the navigation."""
    return {"role": getattr(request.user, "role", None) if hasattr(request, "user") else None}
