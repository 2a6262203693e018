"""What the environment says: a value that cannot be read, or with which the site would start and then fail, ends the
start in a sentence that names the setting.
"""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

WEEK = 604_800  # seconds: S3 signs no address for longer
YEAR = 31_536_000  # seconds
CENTURY = 36_500  # days: no date beyond it could be reckoned with
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

# A Postgres that vanishes without a word, as in a failover or by a cut network, would else hold a worker for a quarter
# of an hour while it asks, and for two hours while it waits for an answer. Unix sockets have only the first of these.
GIVEN_UP = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
DATABASES = ("postgres", "postgresql", "pgsql", "psql")
BROKERS = ("redis", "rediss", "redis+socket")
SMTP = ("smtp+tls", "smtp+ssl", "smtp")
# Not `smtps`, which the library reads as STARTTLS and others as TLS at once.
MAILERS = (*SMTP, "consolemail", "filemail", "memorymail", "dummymail")


class Environment(environ.Env):  # type: ignore[misc]  # the library tells no types
    """The environment. What a setting may be stands where it is read; all of these raise ImproperlyConfigured."""

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within its bounds."""
        text = self.str(name, str(default))
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ImproperlyConfigured(f"{name} is {text!r}. Set it to a whole number from {least} to {most}.")
        return number

    def share(self, name: str, default: float) -> float:
        """A number between 0 and 1, and neither."""
        text = self.str(name, str(default))
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < 1:
            raise ImproperlyConfigured(f"{name} is {text!r}. Set it to a share between 0 and 1, such as {default}.")
        return number

    def rate(self, name: str, default: str) -> tuple[int, int]:
        """How many requests in how many seconds, of a text such as `6000/minute` or `20/s`."""
        text = self.str(name, default)
        number, _, unit = text.partition("/")
        seconds = [SECONDS[known] for known in SECONDS if unit and known.startswith(unit)]
        if not (number.isascii() and number.isdigit() and int(number) and seconds):
            known = ", ".join(SECONDS)
            raise ImproperlyConfigured(
                f"{name} is {text!r}. Set it to a number of requests and one of {known}, such as {default}."
            )
        return int(number), seconds[0]

    def one_of(self, name: str, default: str, known: Collection[str]) -> str:
        """One of the words that are known, in capitals or not."""
        text = self.str(name, default)
        for word in known:
            if word.lower() == text.lower():
                return word
        raise ImproperlyConfigured(f"{name} is {text!r}. Set it to one of {', '.join(known)}.")

    def time_zone(self, name: str, default: str) -> str:
        """The name of a time zone."""
        text: str = self.str(name, default)
        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise ImproperlyConfigured(f"{name} is {text!r}. Set it to a time zone such as Europe/Vienna.") from None
        return text

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Where Postgres is, as Django wants it. What the address says goes before GIVEN_UP."""
        found: dict[str, Any] = self.db_url_config(
            self._server(name, default, DATABASES, such_as="postgres://user:password@host:5432/lesionlens")
        )
        found["OPTIONS"] = {**GIVEN_UP, **found.get("OPTIONS", {})}
        return found

    def broker(self, name: str, default: str) -> str:
        """The address of Redis."""
        return self._server(name, default, BROKERS, such_as="redis://:password@host:6379/0")

    def mail(self, name: str) -> dict[str, Any]:
        """Django's settings for mail."""
        like = "smtp+tls://user:password@host:587, or smtp+ssl:// where TLS begins at once (465)"
        found: dict[str, Any] = self.email_url_config(self._server(name, "", MAILERS, such_as=like))
        return found

    def _server(self, name: str, default: str, schemes: Collection[str], *, such_as: str) -> str:
        """The address of a server. What is refused is not said: there is a password in it."""
        # Nothing here has a fragment, and a password may have this sign.
        address: str = self.str(name, default).replace("#", "%23")
        if not _readable(address, schemes):
            raise ImproperlyConfigured(
                f"{name} cannot be read. Set it to an address such as {such_as}. What is no letter and no digit in a "
                "user's name or password stands there as its percent code: / is %2F, and % is %25."
            )
        return address


def _readable(address: str, schemes: Collection[str]) -> bool:
    """Whether it is an address of one of these schemes that ends its password where it seems to."""
    try:
        parts = urlsplit(address)
        if "," not in parts.netloc:  # several servers of Postgres
            _ = parts.port
    except ValueError:
        return False
    named = bool(parts.hostname) or parts.scheme not in SMTP
    return parts.scheme in schemes and named and "@" not in parts.path + parts.query
