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
TOTAL_SECONDS = 15.0  # from the connection on
LONGEST_WAIT = timedelta(days=1)  # however long the endpoint asks for


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


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send the body once. Redirects are not followed, and of the answer only its head is read. Raises nothing."""
    started = time.monotonic()

    def elapsed() -> float:
        return time.monotonic() - started

    try:
        response = _exchange(parse(url), body, headers)
    except TargetRefusedError as refused:
        return Answer(None, elapsed(), str(refused))
    except TimeoutError:
        return Answer(None, elapsed(), "No answer came in time.")
    except socket.gaierror:
        return Answer(None, elapsed(), "The name of the host could not be found.")
    except ssl.SSLCertVerificationError as error:
        return Answer(None, elapsed(), f"The certificate is not valid: {error.verify_message}."[:200])
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(None, elapsed(), f"The connection failed ({type(error).__name__}).")
    return Answer(response.status, elapsed(), _why(response.status), _wait(response.headers.get("Retry-After")))


def _exchange(target: Target, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    connected = _connect(target)
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    connection = kind(target.host, target.port)
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            (connection.sock or connected).shutdown(socket.SHUT_RDWR)  # also if a byte comes every few seconds

    watch = threading.Timer(TOTAL_SECONDS, end)
    watch.daemon = True
    watch.start()
    try:
        connected.settimeout(TOTAL_SECONDS)
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


def _connect(target: Target) -> socket.socket:
    """A connection to one of the host's addresses, all of which were checked."""
    addresses = resolve(target, seconds=RESOLVE_SECONDS)
    until = time.monotonic() + CONNECT_SECONDS
    error: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, target.port), timeout=max(0.1, until - time.monotonic()))
        except OSError as failure:
            error = failure
    raise error


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _why(status: int) -> str:
    """Why this status is a failure, in a sentence; empty where it is none."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answered {status}, a redirect, and these are not followed. Register the address that it leads to."
    if status == 410:
        return "It answered 410: it is gone and wants no more."
    return f"It answered {status}."


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
