"""Bodies that come in chunks, their length unsaid, as some clients send every JSON (RFC 9112, 7.1)."""

from collections.abc import Callable, Iterable
from io import BufferedReader, RawIOBase
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
API = "/api/"


def with_length(site: Application) -> Application:
    """Wraps the site: a chunked body of the API is announced with the greatest length that is taken, and ends when its
    chunks do.

    Django reads nothing of a body without a length. A file's upload needs its own, and is asked for it.
    """

    def measured(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        chunked = "HTTP_TRANSFER_ENCODING" in environ and "CONTENT_LENGTH" not in environ
        if chunked and environ["PATH_INFO"].startswith(API):
            longest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
            body = BufferedReader(Chunks(environ["wsgi.input"], longest))
            environ = {**environ, "wsgi.input": body, "CONTENT_LENGTH": str(longest)}
        return site(environ, start_response)

    return measured


class Chunks(RawIOBase):
    """A body of a length that shows when it has been read, which nothing is before its client has been let in."""

    def __init__(self, body: IO[bytes], longest: int) -> None:
        self._body = body
        self._left = longest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """As `RawIOBase.readinto`. Raises ParseError, and RequestDataTooBig where the body goes on after that."""
        data = self._read(len(buffer))
        self._left -= len(data)
        if self._left < 0 or (self._left == 0 and self._read(1)):
            raise RequestDataTooBig
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._body.read(size)
        except Exception as error:  # of the web server's own kinds
            raise ParseError("The chunks of the body cannot be read.") from error
