"""The room where a start ends whose settings would lose work or open the site."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

WEEK: Final = 604_800  # seconds: S3 signs no address for longer
# The least of each number, and the most where there is one: beyond, a site would start, and lose all work in silence.
BOUNDS: Final[dict[str, tuple[int, int | None]]] = {
    "UPLOAD_URL_SECONDS": (1, WEEK),
    "UPLOAD_EXPIRES_HOURS": (1, None),
    "IMPORT_MAX_BYTES": (1, None),
    "LEASE_SECONDS": (1, None),
    "MAX_ATTEMPTS": (1, None),
    "INFERENCE_BATCH": (0, None),
    "RETRAIN_AFTER_LABELS": (1, None),
    "TRAINING_SECONDS": (1, None),
    "RESULT_LINK_DAYS": (1, None),
    "WEBHOOK_KEEP_DAYS": (1, None),
    "TRUSTED_PROXIES": (0, None),
}


class OperationsConfig(AppConfig):
    name = "webapp.operations"

    def ready(self) -> None:
        """Raises ImproperlyConfigured for a number out of its bounds, and for a public address without HTTPS."""
        for name, (least, most) in BOUNDS.items():
            value = getattr(settings, name)
            if value < least or (most is not None and value > most):
                bounds = f"at least {least}" if most is None else f"from {least} to {most}"
                raise ImproperlyConfigured(f"{name} is {value}. Set it to a whole number, {bounds}.")
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
