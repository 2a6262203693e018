"""Bodies that come in chunks, their length unsaid, as some clients send every JSON (RFC 9112, 7.1)."""

import io
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
API = "/api/"


def with_length(site: Application) -> Application:
    """The site, to which every body of the API comes with its length.

    Django reads nothing of a body without one. A byte more than the API takes is enough for it to be refused as any
    other that is too large. A file's upload needs a length, and says so itself.
    """

    def measured(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        chunked = "HTTP_TRANSFER_ENCODING" in environ and "CONTENT_LENGTH" not in environ
        if chunked and environ["PATH_INFO"].startswith(API):
            body = environ["wsgi.input"].read((settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) + 1)
            environ = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return site(environ, start_response)

    return measured
