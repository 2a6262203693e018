"""Problems as pages tell them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest

from webapp.errors import Problem


@contextmanager
def telling(request: HttpRequest) -> Iterator[None]:
    """Tell a person, on the next page that they see, why what they asked for was refused."""
    try:
        yield
    except Problem as problem:
        messages.error(request, problem.message)
