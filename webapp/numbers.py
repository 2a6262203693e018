"""Numbers from the environment: one that cannot be read, or with which the site would start and then fail, ends the
start and is named.
"""

import environ
from django.core.exceptions import ImproperlyConfigured

WEEK = 604_800  # seconds: S3 signs no address for longer
YEAR = 31_536_000  # seconds
CENTURY = 36_500  # days: no date beyond it could be reckoned with


class Environment(environ.Env):  # type: ignore[misc]  # the library tells no types
    """The environment, which says within which bounds a number must be."""

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number. Raises ImproperlyConfigured, with the setting's name and its bounds."""
        text = self.str(name, str(default))
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ImproperlyConfigured(f"{name} is {text!r}. Set it to a whole number from {least} to {most}.")
        return number

    def share(self, name: str, default: float) -> float:
        """A number between 0 and 1, and neither. Raises ImproperlyConfigured, with the setting's name."""
        text = self.str(name, str(default))
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < 1:
            raise ImproperlyConfigured(f"{name} is {text!r}. Set it to a share between 0 and 1, such as {default}.")
        return number
