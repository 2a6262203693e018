"""E-mail addresses in the one form in which they are stored and compared."""

from django.core.exceptions import ValidationError
from django.utils.encoding import punycode

LONGEST = 254  # RFC 5321, section 4.5.3.1.3, without its brackets


def in_one_form(email: str) -> str:
    """An address in small ASCII letters, its domain as mail goes to it (IDNA): two are the same where their letters
    arrive in one mailbox, and no other that looks alike is.

    Raises ValidationError where mail cannot be sent to it: before the @ the site's mail takes ASCII alone.
    """
    name, _, domain = email.strip().rpartition("@")
    try:
        found = f"{name}@{punycode(domain)}".lower()
    except UnicodeError:  # no name of a domain
        found = ""
    if not name or not found.isascii() or not 0 < len(found) <= LONGEST:
        raise ValidationError("Mail cannot be sent to this address. Check its letters.", code="invalid")
    return found
