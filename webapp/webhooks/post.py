"""One attempt at telling an endpoint something: connected to an address that was checked, within a time limit."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import cache

from django.utils import timezone

from webapp.webhooks.addresses import Target, TargetRefusedError, parse, resolve

RESOLVE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0  # of an attempt, unless it is a shorter one
LONGEST_WAIT = timedelta(days=1)  # however long the endpoint asks for
UNANSWERED: Mapping[type[Exception], str] = {  # the first that fits
    TimeoutError: "No answer came in time. Answer first, and do the work afterwards.",
    socket.gaierror: "The name of the host could not be found. Correct the address, or enter the name in the DNS.",
    ssl.SSLError: "No secure connection could be made. Let a server with TLS listen there, or correct the port.",
    ConnectionRefusedError: "Nothing listens there. Start your software, or correct the address and its port.",
    ConnectionError: "The connection was closed before an answer came. Look into the log of your software or proxy.",
    OSError: "There is no way there from here. Look at the address, and at the firewall before it.",
    Exception: "What came back is no answer of HTTP. Correct the address or its port.",
}


@dataclass(frozen=True)
class Answer:
    """What became of an attempt. `status` is None where the endpoint did not answer; `error` says why in a sentence."""

    status: int | None
    seconds: float
    error: str = ""
    wait: timedelta | None = None  # what the endpoint asked for by Retry-After

    @property
    def taken(self) -> bool:
        """Whether the endpoint has the event now."""
        return self.status is not None and 200 <= self.status < 300


def post(url: str, *, body: bytes, headers: Mapping[str, str], seconds: float | None = None) -> Answer:
    """Send the body once, within `seconds` or TOTAL_SECONDS. Raises nothing.

    Redirects are not followed, and of the answer only its head is read.
    """
    started = time.monotonic()
    until = started + (seconds or TOTAL_SECONDS)
    try:
        response = _exchange(parse(url), body, headers, until)
    except (TargetRefusedError, OSError, http.client.HTTPException, ValueError) as error:
        return Answer(None, time.monotonic() - started, _why_unanswered(error))
    seconds = time.monotonic() - started
    return Answer(response.status, seconds, _why(response.status), _wait(response.headers.get("Retry-After")))


def _exchange(target: Target, body: bytes, headers: Mapping[str, str], until: float) -> http.client.HTTPResponse:
    connected = _connect(target, until)
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    connection = kind(target.host, target.port)
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            (connection.sock or connected).shutdown(socket.SHUT_RDWR)  # also if a byte comes every few seconds

    watch = threading.Timer(_left(until), end)
    watch.daemon = True
    watch.start()
    try:
        connected.settimeout(_left(until))
        # Given to the connection, because one that it made itself would have looked the name up again.
        connection.sock = _tls().wrap_socket(connected, server_hostname=target.host) if target.secure else connected
        connection.request("POST", target.path, body=body, headers=dict(headers))
        with connection.getresponse() as response:
            if late.is_set():  # the connection's end is read as the end of the head
                raise TimeoutError
            return response
    except (OSError, http.client.HTTPException, ValueError):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        watch.cancel()
        connection.close()
        connected.close()


def _connect(target: Target, until: float) -> socket.socket:
    """A connection to one of the host's addresses, all of which were checked."""
    try:
        addresses = resolve(target, seconds=min(RESOLVE_SECONDS, _left(until)))
    except TimeoutError as late:  # of the DNS, not of the endpoint
        raise socket.gaierror("nobody answers for the name") from late
    until = min(until, time.monotonic() + CONNECT_SECONDS)
    error: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, target.port), timeout=_left(until))
        except TimeoutError:
            error = OSError("the way there is closed")  # which is not an answer that comes late
        except OSError as failure:
            error = failure
    raise error


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(until: float) -> float:
    """The seconds until then, by the monotonic clock; a moment where that is past."""
    return max(0.1, until - time.monotonic())


def _why_unanswered(error: Exception) -> str:
    """Why no answer came and what to do, in a sentence or two."""
    if isinstance(error, TargetRefusedError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate is not valid: {error.verify_message}. Renew it, or send its whole chain."[:200]
    return next(sentence for kind, sentence in UNANSWERED.items() if isinstance(error, kind))


def _why(status: int) -> str:
    """Why this status is a failure and what to do, in a sentence or two; empty where it is none."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answered {status}, a redirect, and these are not followed. Register the address that it leads to."
    if status == 410:
        return "It answered 410: it is gone and wants no more."
    if status in (401, 403):
        return f"It answered {status}: it refused the request. Let it verify with the present secret."
    if status in (404, 405):
        return f"It answered {status}: nothing takes events at this path. Correct the address."
    return f"It answered {status}. Look into the log of your software or its proxy."


def _wait(header: str | None) -> timedelta | None:
    """Retry-After, in seconds or as a date (RFC 9110, section 10.2.3); None where it says nothing."""
    if not header:
        return None
    try:
        if header.strip().isdecimal():
            wait = timedelta(seconds=min(int(header), 10**6))
        else:
            wait = parsedate_to_datetime(header) - timezone.now()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
