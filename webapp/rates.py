"""How often a client may ask, as the environment says it."""

from django.core.exceptions import ImproperlyConfigured

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def rate(name: str, text: str) -> tuple[int, int]:
    """How many requests in how many seconds, of a text such as `6000/minute` or `20/s`.

    Raises ImproperlyConfigured, with the setting's name, where it is no rate that lets somebody in.
    """
    number, _, unit = text.partition("/")
    seconds = [SECONDS[known] for known in SECONDS if unit and known.startswith(unit)]
    if not (number.isascii() and number.isdigit() and int(number) and seconds):
        raise ImproperlyConfigured(
            f"{name} is {text!r}. Set it to a number of requests and one of {', '.join(SECONDS)}, such as 6000/minute."
        )
    return int(number), seconds[0]
