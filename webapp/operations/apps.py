"""The room where a start ends whose settings would open the site."""

import ipaddress
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class OperationsConfig(AppConfig):
    name = "webapp.operations"

    def ready(self) -> None:
        """Raises ImproperlyConfigured for a public address without HTTPS."""
        address = urlsplit(settings.SITE_URL)
        if settings.SITE_URL.startswith("https://") and address.hostname:  # as the settings ask
            return
        served = [address.hostname, *settings.ALLOWED_HOSTS]
        if address.scheme != "http" or not (settings.LOCAL or all(map(_of_this_machine, served))):
            raise ImproperlyConfigured(
                f"SITE_URL is {settings.SITE_URL!r}. Set it to the address that people type, with https:// before it; "
                "without HTTPS only this machine itself may be served (or set LOCAL=1 on a developer's own)."
            )


def _of_this_machine(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
